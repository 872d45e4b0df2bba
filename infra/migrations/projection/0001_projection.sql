-- What lists and counts are answered from. Disposable: everything here is computed from the
-- ledger's entries, and rebuilt from them when this file or its number changes.

-- One row: whose projection this is and how far it goes. `link` is that of the last entry
-- applied: a ledger that does not have it there is another ledger.
CREATE TABLE progress (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    origin TEXT    NOT NULL,
    size   INTEGER NOT NULL, -- entries applied
    link   BLOB    NOT NULL
) STRICT;

-- The words by which entries are found, each with the number of entries that have it. Rows
-- below name a word by its id.
CREATE TABLE words (
    id      INTEGER PRIMARY KEY,
    facet   INTEGER NOT NULL, -- infra/src/projection/words.rs
    text    TEXT    NOT NULL,
    entries INTEGER NOT NULL,
    UNIQUE (facet, text)
) STRICT;

-- Word → positions. Each list only ever grows at its end, so that an insert touches a page
-- that is in memory, whatever the size; pages of answers are read in order of position.
CREATE TABLE postings (
    word     INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (word, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE entries (
    position    INTEGER PRIMARY KEY,
    event_type  INTEGER NOT NULL,
    iss         INTEGER,          -- NULL for the ledger's own events
    stream_type INTEGER NOT NULL,
    stream_id   INTEGER,          -- NULL: its own position, in decimal
    recorded    INTEGER NOT NULL  -- microseconds since 1970, UTC; never decreases
) STRICT;

-- Clear titles, names and numbers, in lower case, of the entries that have any.
CREATE TABLE texts (
    position INTEGER PRIMARY KEY,
    folded   TEXT NOT NULL
) STRICT;

CREATE TABLE accesses (
    position    INTEGER PRIMARY KEY,
    earliest    INTEGER,          -- days since 1970, both ends included; NULL = open
    latest      INTEGER,
    recorded    INTEGER NOT NULL,
    event_type  INTEGER NOT NULL,
    iss         INTEGER NOT NULL,
    recipient   INTEGER NOT NULL,
    role        INTEGER NOT NULL,
    site        INTEGER,
    siret       INTEGER,
    discloser   INTEGER,          -- as filed, or the controller as known then
    processing  INTEGER NOT NULL,
    experiment  INTEGER,
    purpose     INTEGER NOT NULL,
    outcome     INTEGER NOT NULL, -- of the verdict recorded with it
    regime      INTEGER NOT NULL,
    categories  TEXT    NOT NULL, -- ids between commas: `,3,17,`
    bases       TEXT    NOT NULL,
    contested   INTEGER           -- position of the first contestation
) STRICT;

-- Findings of the verdicts recorded.
CREATE TABLE findings (
    position INTEGER NOT NULL,
    ordinal  INTEGER NOT NULL, -- its place in the verdict, from 0
    code     INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    evidence INTEGER NOT NULL,
    PRIMARY KEY (position, ordinal)
) STRICT, WITHOUT ROWID;

-- Who an access is about. Rows go when their disclosure is erased.
CREATE TABLE subjects (
    id        INTEGER PRIMARY KEY,
    position  INTEGER NOT NULL,
    member    INTEGER NOT NULL, -- 0: named as an individual; 1: member of a cohort
    key       INTEGER NOT NULL, -- first eight bytes of the reference
    reference BLOB    NOT NULL,
    digest    BLOB    NOT NULL
) STRICT;

-- References are random, so each insert lands on another page: what is indexed is short.
CREATE INDEX subjects_by_key ON subjects (key, position);
