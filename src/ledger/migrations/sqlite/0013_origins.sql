-- The ledger, thirteenth edition: which row of which file each message came from, and what became of the other rows.

-- The row that a message was accepted from. NULL: a publisher sent it, or an earlier edition accepted it.
ALTER TABLE messages ADD COLUMN import INTEGER;  -- imports.number
ALTER TABLE messages ADD COLUMN line INTEGER;    -- physical line of the file, counted from 1

-- The id that a rejected row names, where it can be read.
ALTER TABLE rejects ADD COLUMN id TEXT;
CREATE INDEX rejects_by_id ON rejects (campaign, id) WHERE id IS NOT NULL;

-- The rows whose id or address a message of the campaign had already.
CREATE TABLE duplicates (
    number   INTEGER PRIMARY KEY,
    import   INTEGER NOT NULL REFERENCES imports (number),
    campaign TEXT    NOT NULL,  -- the import's
    line     INTEGER NOT NULL,  -- physical line of the file, counted from 1
    given    TEXT    NOT NULL,  -- the row's id
    id       TEXT    NOT NULL   -- the message that has this id or this row's address
) STRICT;

CREATE INDEX duplicates_by_given ON duplicates (campaign, given);
CREATE INDEX duplicates_by_id ON duplicates (campaign, id);
