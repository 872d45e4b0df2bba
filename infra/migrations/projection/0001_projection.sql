-- What lists and counts are answered from. Disposable: everything here is computed from the
-- ledger's entries, and rebuilt from them when this file or its number changes.

-- One row: whose projection this is and how far it goes. `link` is that of the last entry
-- applied: a ledger that does not have it there is another ledger.
CREATE TABLE progress (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    origin TEXT    NOT NULL,
    size   INTEGER NOT NULL, -- entries applied
    link   BLOB    NOT NULL,
    rules  TEXT    NOT NULL, -- version of the rules that judged what stands now
    keyed  INTEGER NOT NULL  -- every key of an access before this position is in subject_keys
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

-- Clear titles, names, numbers and ids, without case or accents, of the entries that have any:
-- `rowid` is the position. Any part of three characters or more is found by an index.
CREATE VIRTUAL TABLE texts USING fts5 (folded, tokenize = 'trigram');

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
    contested   INTEGER,          -- position of the first contestation
    cited       INTEGER,          -- what it cites as its basis
    forgotten   INTEGER NOT NULL, -- 1: about an individual whose reference was erased
    cohort      INTEGER NOT NULL, -- 1: about a group
    now_outcome INTEGER NOT NULL, -- of the verdict as known at `progress.size`
    now_since   INTEGER NOT NULL, -- position of the entry since which that is the answer
    now_verdict TEXT,             -- that verdict, as JSON; NULL = as recorded
    changed_by  TEXT              -- positions between commas; NULL = none
) STRICT;

-- Accesses that an entry may touch, by what it is about. The last day is in the index: a
-- fact says nothing of accesses before it.
CREATE INDEX accesses_by_scope
    ON accesses (processing, purpose, ifnull(latest, 9223372036854775807));
CREATE INDEX accesses_by_experiment ON accesses (experiment) WHERE experiment IS NOT NULL;
CREATE INDEX accesses_by_cited ON accesses (cited) WHERE cited IS NOT NULL;
CREATE INDEX accesses_forgotten ON accesses (processing) WHERE forgotten = 1;
CREATE INDEX accesses_of_groups ON accesses (cohort) WHERE cohort = 1;
CREATE INDEX accesses_by_now ON accesses (now_outcome);

-- Every finding an access has had, from the entry that brought it to the one that took it
-- away. Those of the verdict recorded come first, in its order.
CREATE TABLE findings (
    position      INTEGER NOT NULL,
    ordinal       INTEGER NOT NULL, -- from 0; never given to another finding of the access
    code          INTEGER NOT NULL,
    severity      INTEGER NOT NULL, -- as it stands, or as it stood last
    evidence      INTEGER NOT NULL,
    positions     TEXT    NOT NULL, -- of the entries it rests on, between commas
    since         INTEGER NOT NULL, -- position of the entry since which it stands so
    until         INTEGER,          -- … of the entry that took it away; NULL = it stands
    then_severity INTEGER,          -- as recorded; NULL = not found then
    then_evidence INTEGER,
    PRIMARY KEY (position, ordinal)
) STRICT, WITHOUT ROWID;

-- Findings that a later entry brought, changed or took away.
CREATE INDEX findings_changed ON findings (ifnull(until, since))
    WHERE ifnull(until, since) > position;

-- Accesses whose answer a later entry changed.
CREATE INDEX accesses_changed ON accesses (now_since) WHERE now_since > position;

-- How many accesses: by month, basis claimed, verdict recorded and verdict now. `basis` 0
-- counts each access once, the others each access for each basis it claims.
CREATE TABLE access_counts (
    month        INTEGER NOT NULL, -- of the last day: year * 12 + month - 1; -1 = no day known
    basis        INTEGER NOT NULL,
    then_outcome INTEGER NOT NULL,
    now_outcome  INTEGER NOT NULL,
    n            INTEGER NOT NULL,
    PRIMARY KEY (month, basis, then_outcome, now_outcome)
) STRICT, WITHOUT ROWID;

-- The same by party that filed, received or disclosed.
CREATE TABLE party_counts (
    party        INTEGER NOT NULL,
    then_outcome INTEGER NOT NULL,
    now_outcome  INTEGER NOT NULL,
    n            INTEGER NOT NULL,
    PRIMARY KEY (party, then_outcome, now_outcome)
) STRICT, WITHOUT ROWID;

-- How many findings, by who disclosed and by rule. `party` 0 counts each finding once.
CREATE TABLE finding_counts (
    party INTEGER NOT NULL,
    code  INTEGER NOT NULL,
    state INTEGER NOT NULL, -- 0 = open, 1 = changed, 2 = closed
    n     INTEGER NOT NULL,
    PRIMARY KEY (party, code, state)
) STRICT, WITHOUT ROWID;

-- Who an access is about. Rows go when their disclosure is erased.
CREATE TABLE subjects (
    id        INTEGER PRIMARY KEY, -- position * 2^20 + ordinal
    member    INTEGER NOT NULL, -- 0: named as an individual; 1: member of a cohort
    reference BLOB    NOT NULL,
    digest    BLOB    NOT NULL
) STRICT;

-- Where a person's rows are. References are random, so each insert would land on another
-- page: keys come late and in order (infra/src/late_index.rs), and until then are in memory.
CREATE TABLE subject_keys (
    key INTEGER NOT NULL, -- first eight bytes of the reference
    id  INTEGER NOT NULL,
    PRIMARY KEY (key, id)
) STRICT, WITHOUT ROWID;
