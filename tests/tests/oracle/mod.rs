//! A second interpreter of the rules, held against the judge on random timelines.

mod agreement;
mod days;
mod experiments;
mod formalities;
mod generate;
mod interpreter;
mod metamorphic;
mod people;
mod purposes;
