//! The fake Twilio: a real HTTP server with Twilio's behaviour, limits and faults.
