//! Query strings of `list.json` and `search.json`.

use super::Says::{Served, Warning};
use super::{Row, Target, asking};

#[test]
fn queries_that_cannot_be_read_are_told() {
    let long = |start: &str| format!("{start}{}", "a".repeat(2_000));
    let (filter, vendor) = (long("/list.json?filter="), long("/list.json?vendor="));
    let (words, kind) = (long("/search.json?q="), long("/search.json?type="));
    let unknown = long("/packages.json?x=");
    let stars = format!("/list.json?filter={}z", "*".repeat(900));
    let no_names = Served("{\"packageNames\":[]}");
    let no_results = Served("{\"results\":[],\"total\":0}");
    let table = [
        ("/list.json?filter=a&filter=b", 400, Warning("filter")),
        ("/list.json?vendor=a&vendor=b", 400, Warning("vendor")),
        (
            &filter,
            400,
            Warning("\"filter\" in the query is longer than 1000 bytes"),
        ),
        (
            &vendor,
            400,
            Warning("\"vendor\" in the query is longer than 1000 bytes"),
        ),
        ("/search.json?q=a&q=b", 400, Warning("q")),
        (
            &words,
            400,
            Warning("\"q\" in the query is longer than 1000 bytes"),
        ),
        (
            &kind,
            400,
            Warning("\"type\" in the query is longer than 1000 bytes"),
        ),
        ("/list.json?filter=%ff", 200, no_names),
        ("/list.json?filter=%zz", 200, no_names),
        ("/list.json?filter=%00", 200, no_names),
        ("/list.json?filter=[a-z]", 200, no_names),
        (&stars, 200, no_names),
        ("/list.json?vendor=..%2f", 200, no_names),
        ("/list.json?vendor", 200, Served("acme/lib")),
        ("/list.json?=&&&=", 200, Served("acme/lib")),
        ("/list.json?filter[]=x", 200, Served("acme/lib")),
        ("/search.json?q=%ff", 200, no_results),
        ("/search.json?q=%00", 200, no_results),
        ("/search.json?q=%27%20OR%201=1", 200, no_results),
        ("/search.json?type=%25", 200, no_results),
        ("/search.json?page=-1&per_page=0", 200, Served("acme/lib")),
        ("/p2/acme/lib.json?%zz=%", 200, Served("1.0.0.0")),
        ("/p2/acme/lib.json#%", 200, Served("1.0.0.0")),
        (&unknown, 200, Served("metadata-url")),
    ];
    let rows = table.iter().map(|(target, status, says)| {
        (
            target.get(..40).unwrap_or(target),
            asking(target),
            *status,
            *says,
        )
    });
    Target::start().check(&rows.collect::<Vec<Row<'_>>>());
}
