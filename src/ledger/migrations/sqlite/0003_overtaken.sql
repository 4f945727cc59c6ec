-- Whether a lease on the message ran out while its holder may have been alive: such a holder may still
-- send what it was about to send.
ALTER TABLE turns ADD COLUMN overtaken INTEGER NOT NULL DEFAULT 0;
