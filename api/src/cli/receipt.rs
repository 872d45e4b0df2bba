//! `greffe receipt check`: may data be released on this receipt? Offline.
//!
//! Every check is `greffe_domain::receipt`; here are the files, the day, and the words.

use std::io::Read;
use std::path::PathBuf;

use greffe_domain::date::{LegalDate, Timestamp};
use greffe_domain::receipt::{self, Asked, Grant, LedgerKeys, NoGrant};
use greffe_domain::trust::Trust;
use greffe_domain::vocabulary::{Category, Purpose};
use greffe_infra::clock::Clock;
use serde_json::json;

use super::check::lang;
use super::{CliError, read_file};
use crate::words::Lang;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say what a receipt grants, for whom and until when; or refuse it. Opens no socket.
    Check(Box<CheckArgs>),
}

#[derive(clap::Args)]
struct CheckArgs {
    /// The receipt, as JSON; `-` reads it from standard input.
    receipt: PathBuf,
    /// What the reader knows of the ledger beforehand.
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// Receipt or sealed entry of a change of the ledger's key; once for each change.
    #[arg(long, value_name = "FILE")]
    rotation: Vec<PathBuf>,
    /// Day on which the data would be released, or an instant of it, UTC.
    #[arg(long, value_name = "DATE|now", default_value = "now", value_parser = day)]
    at: LegalDate,
    /// Refuse a grant for another processing.
    #[arg(long)]
    processing: Option<String>,
    /// Refuse a grant for another purpose.
    #[arg(long, value_parser = |text: &str| Purpose::parse(text).ok_or("not a purpose; see /v1/vocabulary"))]
    purpose: Option<Purpose>,
    /// Refuse a grant without this category; may be repeated.
    #[arg(long, value_parser = |text: &str| Category::parse(text).ok_or("not a category; see /v1/vocabulary"))]
    category: Vec<Category>,
    /// Refuse a grant to another party.
    #[arg(long, value_name = "PARTY")]
    recipient: Option<String>,
    /// Refuse a grant to another site of the recipient, or to none in particular.
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// Language of the answer: fr or en.
    #[arg(long, env = "GREFFE_LANG", default_value = "en", value_parser = lang)]
    lang: Lang,
    /// For programs.
    #[arg(long)]
    json: bool,
}

fn day(text: &str) -> Result<LegalDate, String> {
    if text == "now" {
        return Ok(Clock::System.now().date());
    }
    LegalDate::parse(text)
        .or_else(|| Timestamp::parse(text).map(Timestamp::date))
        .ok_or_else(|| "a day such as 2026-11-25, an instant, or now".to_owned())
}

pub fn run(args: Args) -> Result<(), CliError> {
    let Command::Check(args) = args.command;
    let keys = ledger_keys(&args)?;
    let receipt = match args.receipt.to_str() {
        Some("-") => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map_err(|e| {
                CliError::broken(format!("cannot read standard input: {e}"), "name a file")
            })?;
            bytes
        }
        _ => read_file(&args.receipt)?,
    };
    let asked = Asked {
        processing: args.processing.as_deref(),
        purpose: args.purpose,
        categories: &args.category,
        recipient: args.recipient.as_deref(),
        site: args.site.as_deref(),
    };
    match receipt::check(&receipt, &keys, args.at, &asked) {
        Ok(grant) => {
            if args.json {
                say!("{}", grant.to_value());
            } else {
                describe(&grant, args.lang);
            }
            Ok(())
        }
        Err(NoGrant::Refused(refused)) => {
            let words = refused.words();
            let detail = args.lang.of(&words);
            if args.json {
                let code = refused.code();
                say!("{}", json!({"granted": false, "code": code, "detail": detail}));
            }
            let advice = args
                .lang
                .pick("ne rien communiquer sur ce reçu", "release nothing on this receipt");
            Err(CliError::no(format!("{} ({})", detail, refused.code()), advice))
        }
        Err(unreadable) => Err(CliError::broken(
            unreadable.to_string(),
            "give the receipt as the ledger gave it; a list must hold one",
        )),
    }
}

/// The ledger's keys, as far as the files given tell.
fn ledger_keys(args: &CheckArgs) -> Result<LedgerKeys, CliError> {
    let trust = Trust::parse(&read_file(&args.trust)?).map_err(|e| {
        CliError::broken(
            format!("{} is no trust file: {e}", args.trust.display()),
            "give the trust.json that `greffe init` wrote",
        )
    })?;
    let mut keys = LedgerKeys::of(&trust);
    let rotations: Vec<Vec<u8>> =
        args.rotation.iter().map(|path| read_file(path)).collect::<Result<_, _>>()?;
    keys.follow(rotations.iter().map(Vec::as_slice)).map_err(|e| {
        CliError::broken(
            e.to_string(),
            "give the receipt of every change of key since the first, each as the ledger gave it",
        )
    })?;
    Ok(keys)
}

/// Sentences, one fact a line.
fn describe(grant: &Grant, lang: Lang) {
    let access = &grant.access;
    let categories: Vec<&str> = access.categories.iter().map(|c| c.as_str()).collect();
    let none = lang.pick("sans", "none");
    let recipient = match &access.recipient.site {
        Some(site) => format!("{}, site {}", access.recipient.party, site.id),
        None => access.recipient.party.clone(),
    };
    let whom = match &access.cohort {
        Some(cohort) => format!(
            "{} {}{}",
            lang.pick("cohorte", "cohort of"),
            cohort.units.join(", "),
            cohort.headcount.map(|n| format!(" ({n})")).unwrap_or_default()
        ),
        None => {
            format!("{} {}", access.subjects.len(), lang.pick("personne(s)", "person(s)"))
        }
    };
    let until = grant.valid_until().map_or_else(|| none.to_owned(), |day| day.to_string());
    say!(
        "{} ({}; {})",
        lang.pick("accordé", "granted"),
        grant.verdict.verdict.as_str(),
        lang.pick(
            "constat du registre, pas un jugement",
            "a finding of the register, not a ruling"
        )
    );
    for (fr, en, value) in [
        ("entrée", "entry", format!("{} {}", grant.position, grant.origin)),
        ("inscrit le", "recorded", grant.time.to_string()),
        ("traitement", "processing", access.processing.clone()),
        ("finalité", "purpose", access.purpose.to_string()),
        ("catégories", "categories", categories.join(", ")),
        ("destinataire", "recipient", recipient),
        ("personnes", "subjects", whom),
        ("jours jugés", "days judged", grant.at.text.clone().unwrap_or_else(|| none.to_owned())),
        ("terme", "valid until", until),
    ] {
        say!("{:<13} {value}", lang.pick(fr, en));
    }
}
