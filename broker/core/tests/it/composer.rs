//! Composer's own PHP code, in one process that all tests share.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

const INSTALL: &str =
    "the tests compare with Composer's own code: install the Debian packages php-cli and composer";

/// The process ends by itself when its input closes, which the end of the tests does.
struct Oracle {
    _process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/oracle.php");
        let mut process = Command::new("php")
            .args(["-d", "display_errors=stderr", "-d", "memory_limit=512M"])
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run php ({error}); {INSTALL}"));
        let questions = process.stdin.take().expect("stdin is piped");
        let answers = BufReader::new(process.stdout.take().expect("stdout is piped"));
        Self {
            _process: process,
            questions,
            answers,
        }
    }

    fn ask(&mut self, question: &str) -> String {
        let mut answer = String::new();
        let asked = writeln!(self.questions, "{question}")
            .and_then(|()| self.answers.read_line(&mut answer));
        assert!(
            asked.is_ok_and(|length| length > 0),
            "php gave up, see its message above; {INSTALL}"
        );
        answer
    }
}

/// Asks Composer one kind of question about many items, and returns one answer an item.
pub(crate) fn ask<Item: Serialize, Answer: DeserializeOwned>(
    op: &str,
    items: &[Item],
) -> Vec<Answer> {
    static ORACLE: OnceLock<Mutex<Oracle>> = OnceLock::new();
    let question = json!({"op": op, "items": items}).to_string();
    let oracle = ORACLE.get_or_init(|| Mutex::new(Oracle::start()));
    let answer = oracle
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .ask(&question);
    let answers: Vec<Answer> = serde_json::from_str(&answer).expect("the oracle answers in JSON");
    assert_eq!(answers.len(), items.len(), "the oracle answers every item");
    answers
}
