//! The provider, by its own names: one client, one file per product.
//!
//! There is no trait: what differs between Twilio, the simulator over TCP and the simulator in
//! process is the [`Transport`] and the [`BaseUrl`]. In: typed requests. Out: typed replies, or a
//! [`CallError`] that says what is known of the call. Always: every call, each page of a list
//! included, passes the [`Gate`] before its bytes leave; a call is made once, unless the client is one with
//! [`Patience`].

mod away_part;
mod base;
mod chat;
mod client;
pub mod codes;
mod conversation_messages;
mod conversations;
mod credentials;
mod error;
mod flex;
mod form;
mod gate;
mod hiding;
mod interactions;
mod json;
mod observer;
mod operation;
mod outages;
mod paging;
mod patience;
mod proxy;
mod settings;
pub mod sid;
mod taskrouter;
mod transport;
mod trouble;
mod users;

pub use away_part::{AwayCause, AwayPart};
pub use base::{BaseUrl, InvalidBaseUrl};
pub use chat::{ChatChannel, ChatMessage};
pub use client::Twilio;
pub use codes::{Conflict, classify, conflict, failure, is_login_refused, is_missing, pause_cause};
pub use conversation_messages::{ConversationMessage, Delivery, NewConversationMessage};
pub use conversations::{
    Conversation, ConversationParticipant, ConversationWebhook, ConversationsOf, MessagingBinding,
    NewConversation, NewConversationParticipant, ParticipantConversation,
};
pub use credentials::{Credentials, InvalidCredentials};
pub use error::CallError;
pub use flex::{
    Configuration, FlexChannel, FlexFlow, FlexIntegration, NewFlexChannel, NewFlexFlow,
};
pub use form::Form;
pub use gate::{Closed, Gate, LastLook, Observed, Open, Pass};
pub use hiding::hide_numbers;
pub use interactions::{Interaction, InteractionChannel, NewInteraction, RoutingProperties};
pub use observer::{Answer, CallObserver};
pub use operation::{Endpoint, Method, Operation, Product};
pub use outages::Outages;
pub use patience::{Patience, patiently};
pub use proxy::{
    MessageInteraction, NewProxyParticipant, NewSession, ProxyParticipant, ProxyService, Session,
};
pub use settings::{ClientSettings, DEFAULT_TIMEOUT};
pub use taskrouter::{
    Task, TaskChannel, TaskQueue, Worker, WorkerChannel, WorkersWhere, Workflow, Workspace, quoted,
};
pub use transport::{Dropped, InProcess, Transport, TransportError, http_transport};
pub use trouble::CallTrouble;
