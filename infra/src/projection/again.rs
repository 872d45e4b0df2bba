//! What stands of each access, kept up to date: an entry that arrives has the accesses in
//! its scope judged again, and no others.
//!
//! `scope → positions, through indexes → accesses read from the ledger → judged before the
//! register as known with the entry → rows`, all inside the batch's transaction. What the
//! scope of an entry is, and what a judgement changes, is the domain's (`rules::touch`,
//! `rules::again`).

use greffe_domain::date::{LegalDate, Timestamp};
use greffe_domain::encoding::Hash32;
use greffe_domain::event::{Event, Filed};
use greffe_domain::register::Register;
use greffe_domain::rules::again::{Standing, Stood, is_same, judge_again, stand};
use greffe_domain::rules::touch::{Among, Part, Scope};
use greffe_domain::rules::{CURRENT, Case};
use greffe_domain::seal::Position;
use greffe_domain::subject::SubjectRef;
use greffe_domain::verdict::{Evidence, Severity, Verdict};
use greffe_domain::vocabulary::RuleCode;
use rayon::prelude::*;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::counts::{self, Counted};
use super::read::{ReadEntry, digest, read_event};
use super::row::{WriteError, day_number, int, listed, read_verdict, unlisted};
use super::subjects::{IDS, subject_key};
use super::words::{Facet, Words};
use super::writing::{FINDINGS, Writing};
use crate::store::{Disclosed, Fault, FaultKind, each_with_its_own};

/// Accesses judged while the register is held: its writer waits meanwhile.
const CHUNK: usize = 256;

/// Hands over the register to a reader.
type WithRegister<'a> = dyn Fn(&mut dyn FnMut(&Register)) + Sync + 'a;

/// Where accesses recorded earlier are read again, and what they are judged before.
pub(super) struct Source<'a> {
    /// Hands over the register, folded at least as far as the batch.
    pub register: &'a WithRegister<'a>,
    /// The entries at these positions.
    pub entries: &'a dyn Fn(&[Position]) -> Result<Disclosed, Fault>,
}

/// An access read again.
struct Earlier {
    position: u64,
    recorded: Timestamp,
    event: Event,
}

impl Earlier {
    fn filed(&self) -> Option<(&Filed, Case<'_>, &Verdict)> {
        let filed = self.event.filed()?;
        let case = Case {
            access: filed.body.access()?,
            days: filed.at.valid_days(self.recorded.date()),
            recorded: Some((self.position, self.recorded)),
        };
        Some((filed, case, filed.verdict.as_deref()?))
    }
}

fn read_earlier(disclosed: Disclosed) -> Result<Vec<Earlier>, Fault> {
    let rows: Vec<_> = each_with_its_own(disclosed).collect();
    rows.into_par_iter()
        .map(|(row, own)| {
            let event = read_event(&row, &own)?;
            Ok(Earlier { position: row.position.0, recorded: row.time, event })
        })
        .collect()
}

/// Judges again the accesses that an entry touches.
///
/// `read_from`: accesses from this position on were read, and the register folded, after
/// every erasure of the batch.
pub(super) fn follow(
    writing: &mut Writing<'_>,
    entry: &ReadEntry,
    read_from: u64,
    source: &Source<'_>,
) -> Result<(), WriteError> {
    let scope = &entry.scope;
    if scope.is_empty() || scope.afresh && read_from == 0 {
        return Ok(());
    }
    // What this batch added is looked through, too.
    writing.flush()?;
    let connection = writing.connection;
    let before = if scope.afresh { read_from.min(entry.position) } else { entry.position };
    let positions = select(writing, scope, before)?;
    for chunk in positions.chunks(CHUNK) {
        let asked: Vec<Position> = chunk.iter().map(|p| Position(*p)).collect();
        let earlier = read_earlier((source.entries)(&asked)?)?;
        if earlier.len() != chunk.len() {
            let on = format!("{} entries from position {} on", chunk.len(), chunk[0]);
            return Err(Fault::new(FaultKind::Corrupt, "read accesses again", on).into());
        }
        if scope.afresh {
            for (standing, then) in judge_afresh(&earlier, entry.position + 1, source)? {
                let before = load(connection, writing.words, standing.position, then)?;
                forget(connection, standing.position)?;
                write(writing, &before, &standing, then)?;
            }
            continue;
        }
        for (access, after) in judge_after(connection, &earlier, entry.position, source)? {
            let then = access.filed().map(|(_, _, then)| then);
            let then = then.expect("only accesses with a verdict are judged again");
            let before = load(connection, writing.words, access.position, then)?;
            let mut standing = before.clone();
            standing.follow(entry.position, after);
            write(writing, &before, &standing, then)?;
        }
    }
    Ok(())
}

fn gone(access: &Earlier) -> Fault {
    let on = format!("the entry at position {}", access.position);
    Fault::new(FaultKind::Corrupt, "judge an access again", on)
}

/// Of these accesses, those that the entry at `by` changed, and the verdict after it.
fn judge_after<'a>(
    connection: &Connection,
    earlier: &'a [Earlier],
    by: u64,
    source: &Source<'_>,
) -> Result<Vec<(&'a Earlier, Verdict)>, WriteError> {
    let mut stored =
        connection.prepare_cached("SELECT now_verdict FROM accesses WHERE position = ?1")?;
    let mut before = Vec::with_capacity(earlier.len());
    for access in earlier {
        let text: Option<String> = stored.query_row([int(access.position)], |row| row.get(0))?;
        before.push(text.map(|text| read_verdict(&text)).transpose()?);
    }
    let mut judged = Vec::new();
    (source.register)(&mut |register| {
        let view = register.view(by + 1);
        judged = earlier
            .par_iter()
            .zip(&before)
            .filter_map(|(access, before)| {
                let (_, case, then) = access.filed()?;
                match judge_again(&CURRENT, &case, then, view) {
                    None => Some(Err(gone(access))),
                    Some(after) if is_same(before.as_ref().unwrap_or(then), &after) => None,
                    Some(after) => Some(Ok((access, after))),
                }
            })
            .collect();
    });
    judged.into_iter().map(|judged| judged.map_err(WriteError::from)).collect()
}

/// What stands of these accesses at `size`, followed from their recording.
fn judge_afresh<'a>(
    earlier: &'a [Earlier],
    size: u64,
    source: &Source<'_>,
) -> Result<Vec<(Standing, &'a Verdict)>, WriteError> {
    let mut judged = Vec::new();
    (source.register)(&mut |register| {
        judged = earlier
            .par_iter()
            .filter_map(|access| {
                let (_, case, then) = access.filed()?;
                let standing = stand(&CURRENT, &case, then, register, size);
                Some(standing.map(|standing| (standing, then)).ok_or_else(|| gone(access)))
            })
            .collect();
    });
    judged.into_iter().map(|judged| judged.map_err(WriteError::from)).collect()
}

/// Writes what stands of an access judged by other rules than those that judge now. The
/// access's own row is there already, as recorded.
pub(super) fn under_current_rules(
    writing: &mut Writing<'_>,
    entry: &ReadEntry,
    source: &Source<'_>,
) -> Result<(), WriteError> {
    let Some(filed) = entry.event.filed().filter(|_| !entry.current_rules) else { return Ok(()) };
    let (Some(access), Some(then)) = (filed.body.access(), filed.verdict.as_deref()) else {
        return Ok(());
    };
    let case = Case {
        access,
        days: filed.at.valid_days(entry.recorded.date()),
        recorded: Some((entry.position, entry.recorded)),
    };
    let mut after = None;
    (source.register)(&mut |register| {
        after = judge_again(&CURRENT, &case, then, register.view(entry.position));
    });
    let before = Standing::as_recorded(entry.position, then);
    let mut standing = before.clone();
    // An access to nothing the register holds keeps the verdict it came with.
    if let Some(after) = after
        && standing.follow(entry.position, after)
    {
        writing.flush()?;
        write(writing, &before, &standing, then)?;
    }
    Ok(())
}

/// Positions of the accesses before `before` that are in scope, ascending.
pub(super) fn select(
    writing: &mut Writing<'_>,
    scope: &Scope,
    before: u64,
) -> Result<Vec<u64>, WriteError> {
    let connection = writing.connection;
    let digests: Vec<Hash32> = scope.digests.iter().filter_map(|d| digest(d)).collect();
    let mut found = writing.subjects.accesses_of(connection, &digests, before)?;
    let mut forget =
        connection.prepare_cached("UPDATE accesses SET forgotten = 1 WHERE position = ?1")?;
    for position in &found {
        forget.execute([position])?;
    }
    for part in &scope.parts {
        for (sql, values) in queries(writing, part, before) {
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query(params_from_iter(values))?;
            while let Some(row) = rows.next()? {
                found.insert(row.get(0)?);
            }
        }
    }
    Ok(found.into_iter().filter_map(|p| u64::try_from(p).ok()).collect())
}

/// The queries whose answers together are the accesses of a part, each with the values it
/// binds. None: the part names something that no access has.
fn queries(writing: &Writing<'_>, part: &Part, before: u64) -> Vec<(String, Vec<Value>)> {
    let words = &*writing.words;
    let find = |facet: Facet, text: &str| words.find(facet, text);
    // No word has this id.
    let id = |facet: Facet, text: &str| find(facet, text).unwrap_or(0);
    let purposes: Option<Vec<i64>> = part
        .purposes
        .as_ref()
        .map(|purposes| purposes.iter().filter_map(|p| find(Facet::Purpose, p.as_str())).collect());
    let from = part.from.map(|day: LegalDate| {
        format!("ifnull(a.latest, 9223372036854775807) >= {}", day_number(day))
    });
    let of_groups = "accesses a INDEXED BY accesses_of_groups WHERE a.cohort = 1";
    // An index that leads to the accesses, and what they must satisfy.
    let mut sources: Vec<(String, Vec<Value>)> = Vec::new();
    let mut conditions = vec![format!("a.position < {}", int(before))];
    let of_processing = |processing: i64| {
        let purposes = purposes.clone().unwrap_or_else(|| words.all(Facet::Purpose));
        purposes.into_iter().map(move |purpose| {
            let source = format!(
                "accesses a INDEXED BY accesses_by_scope \
                 WHERE a.processing = {processing} AND a.purpose = {purpose}"
            );
            (source, Vec::new())
        })
    };
    match &part.among {
        Among::Processing(processing) => {
            let Some(processing) = find(Facet::Processing, processing) else { return Vec::new() };
            sources.extend(of_processing(processing));
            conditions.push(format!("a.processing = {processing}"));
        }
        Among::Experiment { id: experiment, processing } => {
            let experiment = id(Facet::Experiment, experiment);
            let processing = id(Facet::Processing, processing);
            sources.extend(of_processing(processing));
            sources.push((format!("accesses a WHERE a.experiment = {experiment}"), Vec::new()));
            conditions.push(format!(
                "(a.experiment = {experiment} \
                 OR a.experiment IS NULL AND a.processing = {processing})"
            ));
        }
        Among::Positions(positions) => {
            let positions = serde_json::to_string(positions).expect("numbers are JSON");
            sources.push((
                "accesses a WHERE a.position IN (SELECT value FROM json_each(?1))".to_owned(),
                vec![positions.into()],
            ));
        }
        Among::ChangedGroups => sources.push((
            format!("{of_groups} AND (a.now_verdict IS NOT NULL OR a.changed_by IS NOT NULL)"),
            Vec::new(),
        )),
        Among::Citing(texts) => {
            for cited in texts.iter().filter_map(|text| find(Facet::Cited, text)) {
                sources.push((format!("accesses a WHERE a.cited = {cited}"), Vec::new()));
            }
        }
        Among::Person { processing, reference } => {
            let Some(processing) = find(Facet::Processing, processing) else { return Vec::new() };
            let forgotten = format!(
                "accesses a INDEXED BY accesses_forgotten \
                 WHERE a.processing = {processing} AND a.forgotten = 1"
            );
            sources.push((forgotten, Vec::new()));
            if let Some(SubjectRef(reference)) = SubjectRef::parse(reference) {
                let key = subject_key(&reference);
                let waiting = serde_json::to_string(&writing.subjects.waiting(key));
                let waiting = waiting.expect("numbers are JSON");
                let reference = Value::from(reference.to_vec());
                for (ids, values) in [
                    (
                        format!("SELECT id FROM subject_keys WHERE key = {key}"),
                        vec![reference.clone()],
                    ),
                    ("SELECT value FROM json_each(?2)".to_owned(), vec![reference, waiting.into()]),
                ] {
                    let named = format!(
                        "subjects s CROSS JOIN accesses a ON a.position = s.id / {IDS} \
                         WHERE s.id IN ({ids}) AND s.reference = ?1 AND s.member = 0"
                    );
                    sources.push((named, values));
                }
            }
            conditions.push(format!("a.processing = {processing}"));
        }
    }
    if let Some(purposes) = &purposes {
        let list: Vec<String> = purposes.iter().map(i64::to_string).collect();
        conditions.push(format!("a.purpose IN ({})", list.join(",")));
    }
    conditions.extend(from);
    let listed = |word: i64| {
        let source = format!(
            "postings p CROSS JOIN accesses a ON a.position = p.position WHERE p.word = {word}"
        );
        (source, Vec::new())
    };
    if let Some(site) = &part.site {
        let by_id = id(Facet::Site, &site.id);
        let by_siret = site.siret.as_deref().map_or(0, |siret| id(Facet::Site, siret));
        sources = vec![listed(by_id), listed(by_siret)];
        conditions.push(format!("(a.site = {by_id} OR a.siret = {by_siret})"));
    }
    if part.group {
        sources = vec![(of_groups.to_owned(), Vec::new())];
    }
    if let Some(code) = part.standing {
        let code = id(Facet::Finding, code);
        sources = vec![listed(code)];
        conditions.push(format!(
            "EXISTS (SELECT 1 FROM findings f WHERE f.position = a.position \
             AND f.code = {code} AND f.until IS NULL)"
        ));
    }
    let conditions = conditions.join(" AND ");
    let query =
        |(source, values)| (format!("SELECT a.position FROM {source} AND {conditions}"), values);
    sources.into_iter().map(query).collect()
}

/// What stood of an access before this entry.
fn load(
    connection: &Connection,
    words: &Words,
    position: u64,
    then: &Verdict,
) -> rusqlite::Result<Standing> {
    let (now, changed_by): (Option<String>, Option<String>) = connection
        .prepare_cached("SELECT now_verdict, changed_by FROM accesses WHERE position = ?1")?
        .query_row([int(position)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut statement = connection.prepare_cached(
        "SELECT code, severity, evidence, positions, since, until, then_severity, then_evidence \
         FROM findings WHERE position = ?1 ORDER BY ordinal",
    )?;
    let mut rows = statement.query([int(position)])?;
    let mut findings = Vec::new();
    let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
    let unknown = |id| rusqlite::Error::IntegralValueOutOfRange(0, id);
    while let Some(row) = rows.next()? {
        let text = |column: usize| -> rusqlite::Result<Option<&str>> {
            let id: Option<i64> = row.get(column)?;
            id.map(|id| words.text(id).ok_or_else(|| unknown(id))).transpose()
        };
        let weight = |severity: &str, evidence: &str| {
            let severity = Severity::ALL.into_iter().find(|s| s.as_str() == severity);
            let evidence = Evidence::ALL.into_iter().find(|e| e.as_str() == evidence);
            severity.zip(evidence)
        };
        let code = text(0)?.and_then(RuleCode::parse).ok_or_else(|| unknown(0))?;
        let now = text(1)?.zip(text(2)?).and_then(|(s, e)| weight(s, e));
        let (severity, evidence) = now.ok_or_else(|| unknown(1))?;
        findings.push(Stood {
            code,
            severity,
            evidence,
            positions: unlisted(row.get_ref(3)?.as_str()?),
            since: unsigned(row.get(4)?),
            until: row.get::<_, Option<i64>>(5)?.map(unsigned),
            then: text(6)?.zip(text(7)?).and_then(|(s, e)| weight(s, e)),
        });
    }
    Ok(Standing {
        position,
        now: match now {
            Some(text) => read_verdict(&text)?,
            None => then.clone(),
        },
        findings,
        changed_by: changed_by.as_deref().map(unlisted).unwrap_or_default(),
    })
}

/// Takes away the findings of an access, and what lists it under those not recorded.
fn forget(connection: &Connection, position: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM postings WHERE position = ?1 AND word IN (SELECT code FROM findings \
             WHERE position = ?1 AND then_severity IS NULL) AND word NOT IN (SELECT code \
             FROM findings WHERE position = ?1 AND then_severity IS NOT NULL)",
        )?
        .execute([int(position)])?;
    connection
        .prepare_cached("DELETE FROM findings WHERE position = ?1")?
        .execute([int(position)])?;
    Ok(())
}

/// What an access is counted by.
fn counted(connection: &Connection, position: i64) -> rusqlite::Result<Counted> {
    connection
        .prepare_cached(
            "SELECT earliest, latest, bases, outcome, iss, recipient, discloser \
             FROM accesses WHERE position = ?1",
        )?
        .query_row([position], |row| {
            let bases: String = row.get(2)?;
            let discloser: Option<i64> = row.get(6)?;
            Ok(Counted {
                month: counts::month(super::row::day(row, 0)?, super::row::day(row, 1)?),
                bases: bases.split(',').filter_map(|id| id.parse().ok()).collect(),
                then: row.get(3)?,
                parties: [row.get(4)?, row.get(5)?].into_iter().chain(discloser).collect(),
                discloser,
            })
        })
}

/// Writes what stands of an access, and counts it so instead of as it stood `before`.
fn write(
    writing: &mut Writing<'_>,
    before: &Standing,
    standing: &Standing,
    then: &Verdict,
) -> rusqlite::Result<()> {
    let Writing { connection, words, counts, .. } = writing;
    let position = int(standing.position);
    let counted = counted(connection, position)?;
    for (stood, by) in [(before, -1), (standing, 1)] {
        let now = words.id(Facet::Outcome, stood.now.verdict.as_str());
        counts.outcome(&counted, now, by);
        counts.findings(words, &counted, standing.position, &stood.findings, by);
    }
    // The size is that of the projections when it is read.
    let stored = || Verdict { judged_at: 0, ..standing.now.clone() }.to_value().to_string();
    let now = (!is_same(&standing.now, then)).then(stored);
    let changed_by = &standing.changed_by;
    connection
        .prepare_cached(
            "UPDATE accesses SET now_outcome = ?2, now_since = ?3, now_verdict = ?4, \
             changed_by = ?5 WHERE position = ?1",
        )?
        .execute(params![
            position,
            words.id(Facet::Outcome, standing.now.verdict.as_str()),
            int(changed_by.last().copied().unwrap_or(standing.position)),
            now,
            (!changed_by.is_empty()).then(|| listed(changed_by)),
        ])?;
    let mut insert = connection.prepare_cached(&format!(
        "INSERT OR REPLACE INTO findings ({FINDINGS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    ))?;
    for row in finding_rows(words, position, &standing.findings) {
        insert.execute(row)?;
    }
    let mut list = connection.prepare_cached("INSERT OR IGNORE INTO postings VALUES (?1, ?2)")?;
    for stood in standing.findings.iter().filter(|stood| stood.then.is_none()) {
        list.execute(params![words.id(Facet::Finding, stood.code.as_str()), position])?;
    }
    Ok(())
}

/// Rows of an access's findings, as `FINDINGS` has their columns.
pub(super) fn finding_rows(
    words: &mut Words,
    position: i64,
    findings: &[Stood],
) -> Vec<[Value; 10]> {
    let row = |(ordinal, stood): (i64, &Stood)| {
        let (then_severity, then_evidence) = stood.then.unzip();
        [
            position.into(),
            ordinal.into(),
            words.id(Facet::Finding, stood.code.as_str()).into(),
            words.id(Facet::Severity, stood.severity.as_str()).into(),
            words.id(Facet::Evidence, stood.evidence.as_str()).into(),
            listed(&stood.positions).into(),
            int(stood.since).into(),
            stood.until.map(int).into(),
            then_severity.map(|s: Severity| words.id(Facet::Severity, s.as_str())).into(),
            then_evidence.map(|e: Evidence| words.id(Facet::Evidence, e.as_str())).into(),
        ]
    };
    (0..).zip(findings).map(row).collect()
}
