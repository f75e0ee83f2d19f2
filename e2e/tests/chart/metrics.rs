//! Alerts and the dashboard: of metrics that there are. Those of the pages for operators are compared with what programs say
//! in other suites.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::support::{NAME, documents, objects, one, text};

/// Every metric that is documented, and the series that Prometheus makes of a histogram.
fn documented() -> BTreeSet<String> {
    let pages = text("docs/operations.md") + &text("docs/operator.md");
    let mut known = BTreeSet::new();
    for line in pages.lines() {
        let Some(rest) = line.strip_prefix("| `package_broker_") else {
            continue;
        };
        let name = rest.split(['`', '{']).next().unwrap();
        let name = format!("package_broker_{name}");
        known.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
        known.insert(name);
    }
    assert!(known.len() > 100, "{known:?}");
    known
}

/// The names of our metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words
        .filter(|word| word.starts_with("package_broker_"))
        .map(str::to_owned)
        .collect()
}

fn alerts(values: &[&str]) -> Vec<Value> {
    let mut all = vec!["metrics.prometheusRule.render=always"];
    all.extend(values);
    let rule = one(&objects(&all), "PrometheusRule");
    let groups = rule["spec"]["groups"].as_array().unwrap();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap());
    rules.cloned().collect()
}

fn alert(values: &[&str], name: &str) -> Option<Value> {
    alerts(values)
        .into_iter()
        .find(|alert| alert["alert"] == name)
}

#[test]
fn alerts_are_of_metrics_that_there_are() {
    let known = documented();
    let mut names = BTreeSet::new();
    for alert in alerts(&[]) {
        let (name, expression) = (
            alert["alert"].as_str().unwrap(),
            alert["expr"].as_str().unwrap(),
        );
        let used = metrics_in(expression);
        assert!(
            !used.is_empty() || expression.starts_with("absent(up{"),
            "{name}"
        );
        for metric in used {
            assert!(known.contains(&metric), "{name}: {metric}");
        }
        let balance = |open: char, close: char| {
            expression.matches(open).count() == expression.matches(close).count()
        };
        assert!(
            balance('(', ')') && balance('{', '}') && balance('[', ']'),
            "{expression}"
        );
        assert!(!expression.contains("OPERATOR"), "{expression}");
        for field in ["summary", "description"] {
            assert!(alert["annotations"][field].is_string(), "{name}: {field}");
        }
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}: {severity}"
        );
        assert!(alert["for"].is_string(), "{name}");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
    }
    assert!(names.len() >= 15, "{names:?}");
}

/// What docs/operations.md says is worth an alert is one.
#[test]
fn what_is_worth_an_alert_is_one() {
    let page = text("docs/operations.md");
    let (_, list) = page.split_once("Worth an alert:").unwrap();
    let (list, _) = list.split_once("\n## ").unwrap();
    let used: BTreeSet<String> = alerts(&[])
        .iter()
        .flat_map(|alert| metrics_in(alert["expr"].as_str().unwrap()))
        .collect();
    let worth = metrics_in(list);
    assert!(worth.len() >= 8, "{worth:?}");
    for metric in worth {
        assert!(used.contains(&metric), "{metric}");
    }
}

#[test]
fn each_alert_can_be_changed() {
    let rule = "metrics.prometheusRule.rules.PackageBrokerNotReady";
    let name = "PackageBrokerNotReady";
    let before = alert(&[], name).unwrap();
    let changed = alert(
        &[
            &format!("{rule}.for=5m"),
            &format!("{rule}.severity=page"),
            &format!("{rule}.labels.team=php"),
            &format!("{rule}.annotations.runbook_url=https://r.example.com"),
        ],
        name,
    )
    .unwrap();
    assert_eq!(changed["for"], "5m");
    assert_eq!(
        changed["labels"],
        json!({"severity": "page", "team": "php"})
    );
    assert_eq!(
        changed["annotations"]["runbook_url"],
        "https://r.example.com"
    );
    assert_eq!(
        changed["annotations"]["summary"],
        before["annotations"]["summary"]
    );
    assert_eq!(changed["expr"], before["expr"]);
    let other = alert(&[&format!("{rule}.expr=sum(up{{OPERATOR}}) > 3")], name).unwrap();
    let series = format!("job=\"{NAME}-metrics\",namespace=\"package-broker\"");
    assert_eq!(other["expr"], format!("sum(up{{{series}}}) > 3"));
    assert_eq!(alert(&[&format!("{rule}.enabled=false")], name), None);
    assert_eq!(
        alerts(&[&format!("{rule}.enabled=false")]).len() + 1,
        alerts(&[]).len()
    );
}

/// Alerts choose the operator by the name of its Service, which is what Prometheus calls the job.
#[test]
fn alerts_are_of_the_service_that_is_scraped() {
    let objects = objects(&["metrics.serviceMonitor.render=always"]);
    let (service, monitor) = (one(&objects, "Service"), one(&objects, "ServiceMonitor"));
    let down = alert(&[], "PackageBrokerOperatorDown").unwrap();
    let job = format!("job={}", service["metadata"]["name"]);
    assert!(down["expr"].as_str().unwrap().contains(&job), "{down}");
    let labels = service["metadata"]["labels"].as_object().unwrap();
    for (label, value) in monitor["spec"]["selector"]["matchLabels"]
        .as_object()
        .unwrap()
    {
        assert_eq!(labels.get(label), Some(value));
    }
    assert_eq!(
        monitor["spec"]["endpoints"][0]["port"],
        service["spec"]["ports"][0]["name"]
    );
}

#[test]
fn a_monitor_elsewhere_still_finds_the_operator() {
    let values = [
        "metrics.serviceMonitor.render=always",
        "metrics.serviceMonitor.namespace=monitoring",
        "metrics.serviceMonitor.labels.release=p",
        "metrics.serviceMonitor.interval=30s",
        "metrics.serviceMonitor.relabelings[0].action=labeldrop",
    ];
    let monitor = one(&objects(&values), "ServiceMonitor");
    assert_eq!(monitor["metadata"]["namespace"], "monitoring");
    assert_eq!(monitor["metadata"]["labels"]["release"], "p");
    assert_eq!(
        monitor["spec"]["namespaceSelector"],
        json!({"matchNames": ["package-broker"]})
    );
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!(endpoint["interval"], "30s");
    assert_eq!(endpoint["relabelings"], json!([{"action": "labeldrop"}]));
    let here = one(&objects(&values[..1]), "ServiceMonitor");
    assert_eq!(here["spec"]["namespaceSelector"], Value::Null);
}

#[test]
fn the_dashboard_is_of_metrics_that_there_are() {
    let map = one(&objects(&["metrics.dashboard.enabled=true"]), "ConfigMap");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    let dashboard: Value =
        serde_json::from_str(map["data"]["package-broker.json"].as_str().unwrap()).unwrap();
    let known = documented();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64()), "{panel}");
        for target in panel["targets"].as_array().unwrap() {
            let used = metrics_in(target["expr"].as_str().unwrap());
            assert!(!used.is_empty(), "{panel}");
            for metric in used {
                assert!(known.contains(&metric), "{}: {metric}", panel["title"]);
            }
        }
    }
    assert!(panels.len() >= 8);
}

#[test]
fn the_file_of_alerts_has_every_field_that_is_rendered() {
    // The README is made from it, line by line.
    let groups = documents(&text("charts/package-broker-operator/files/alerts.yaml")).remove(0);
    let readme = text("charts/package-broker-operator/README.md");
    for group in groups.as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            let field = |name: &str| rule[name].as_str().unwrap();
            let row = format!(
                "| `{}` | {} | {} |",
                field("alert"),
                field("severity"),
                field("summary")
            );
            assert!(readme.contains(&row), "{row}");
        }
    }
}
