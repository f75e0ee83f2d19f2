//! Whether a text is PEM (RFC 7468), without looking into what it holds: the source that uses it
//! parses that.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Why a text is not usable PEM; reads on from the name of the key that holds it.
pub(super) type Defect = (String, &'static str);

const WHOLE: &str = "write the file as it is, from the first to the last line";

/// Checks that there is a block with a wanted label, and that every block is whole.
///
/// # Errors
/// The first thing that is wrong. Repeats nothing of the contents.
pub(super) fn check(text: &str, what: &str, wanted: fn(&str) -> bool) -> Result<(), Defect> {
    let mut found = false;
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = delimited(line, "-----BEGIN ") else {
            continue;
        };
        if label.contains("-----") {
            let message = "has its lines run together".to_owned();
            return Err((message, "in YAML, write the value with | and not with >"));
        }
        let mut closed = false;
        let body: Vec<&str> = lines
            .by_ref()
            .take_while(|line| {
                closed = delimited(line, "-----END ") == Some(label);
                !closed
            })
            .collect();
        if !closed {
            return Err((format!("has no line -----END {label}-----"), WHOLE));
        }
        check_body(label, &body)?;
        found |= wanted(label);
    }
    if found {
        return Ok(());
    }
    Err((format!("is not {what} in PEM"), WHOLE))
}

/// The label of a line that marks the beginning or the end of a block.
fn delimited<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.strip_prefix(mark)?.strip_suffix("-----")
}

fn check_body(label: &str, lines: &[&str]) -> Result<(), Defect> {
    let headers = lines.iter().take_while(|line| line.contains(':')).count();
    let (headers, body) = lines.split_at(headers);
    if label.starts_with("ENCRYPTED ") || headers.iter().any(|line| line.contains("ENCRYPTED")) {
        let message = "is encrypted with a passphrase".to_owned();
        return Err((message, "write the key without one"));
    }
    match STANDARD.decode(body.concat()) {
        Err(_) => Err((
            format!("is damaged: what follows -----BEGIN {label}----- is not base64"),
            WHOLE,
        )),
        Ok(bytes) if bytes.is_empty() => Err((
            format!("has nothing between BEGIN and END of {label}"),
            WHOLE,
        )),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> String {
        match check(text, "a certificate", |label| label == "CERTIFICATE") {
            Ok(()) => String::new(),
            Err((message, _)) => message,
        }
    }

    fn block(label: &str, body: &str) -> String {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    #[test]
    fn whole_blocks_pass() {
        let one = block("CERTIFICATE", "MIIBszCC\nAVmgAwIB\n");
        for text in [
            one.clone(),
            format!("subject=CN = x\n\n{one}\nmore text\n{one}"),
            one.replace('\n', "\r\n"),
            one.replace('\n', "\n  "),
            format!("{one}{}", block("X509 CRL", "AAAA")),
            block("CERTIFICATE", "Comment: x\n\nAAAA"),
        ] {
            assert_eq!(verdict(&text), "", "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let one = block("CERTIFICATE", "AAAA");
        for (text, said) in [
            ("hunter2".to_owned(), "is not a certificate in PEM"),
            (block("PRIVATE KEY", "AAAA"), "is not a certificate in PEM"),
            (one.replace('\n', " "), "has its lines run together"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA".to_owned(),
                "has no line -----END CERTIFICATE-----",
            ),
            (
                format!("-----BEGIN CERTIFICATE-----\n{one}"),
                "is damaged: what follows -----BEGIN CERTIFICATE----- is not base64",
            ),
            (
                block("CERTIFICATE", "AAA"),
                "is damaged: what follows -----BEGIN CERTIFICATE----- is not base64",
            ),
            (
                format!("{one}{}", block("CERTIFICATE", "A*AA")),
                "is damaged: what follows -----BEGIN CERTIFICATE----- is not base64",
            ),
            (
                block("CERTIFICATE", ""),
                "has nothing between BEGIN and END of CERTIFICATE",
            ),
            (
                block("ENCRYPTED PRIVATE KEY", "AAAA"),
                "is encrypted with a passphrase",
            ),
            (
                block(
                    "RSA PRIVATE KEY",
                    "Proc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAAAA",
                ),
                "is encrypted with a passphrase",
            ),
        ] {
            assert_eq!(verdict(&text), said, "{text}");
        }
    }
}
