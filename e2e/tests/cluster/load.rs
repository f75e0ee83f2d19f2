//! Real clients that install over and over from several pods, while something happens to what they ask: none may fail.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{installs::project, servers::status_of, support::Team};

/// Clients at once, each in a pod of its own.
const CLIENTS: usize = 4;
/// Installs without end, each from nothing. What fails is told with all that Composer said, and the next one begins.
const SCRIPT: &str = r#"
until [ -e /tmp/end ]; do
  rm -rf vendor composer.lock
  began=$(date +%s.%N)
  if composer install --no-cache --no-interaction --no-progress >/tmp/said 2>&1 && [ -f vendor/psr/log/composer.json ]; then
    echo "load: installed $began $(date +%s.%N)"
  else
    echo "load: failed $began $(date +%s.%N)"; cat /tmp/said
  fi
done
"#;

/// One install that went well: from when until when, since the epoch.
struct Install {
    client: usize,
    began: Duration,
    ended: Duration,
}

/// From when until when something happened.
struct Window {
    what: &'static str,
    from: Duration,
    to: Duration,
}

/// Clients that go on until they are told to end.
struct Load<'a> {
    team: &'a Team,
    windows: Vec<Window>,
}

impl<'a> Load<'a> {
    fn start(team: &'a Team) -> Self {
        let project = project(team, &json!({"psr/log": "*"}));
        for client in 0..CLIENTS {
            team.start_composer(&pod(client), &project, "ci", SCRIPT)
                .unwrap();
        }
        Self {
            team,
            windows: Vec::new(),
        }
    }

    /// Has something happen while all clients install: each has finished an install shortly before, and finishes one that
    /// began afterwards.
    fn meanwhile(&mut self, what: &'static str, happens: impl FnOnce()) {
        self.each_installs_after(now());
        let from = now();
        happens();
        let to = now();
        self.each_installs_after(to);
        self.windows.push(Window { what, from, to });
    }

    /// Waits until every client has finished an install that it began after this time.
    fn each_installs_after(&self, time: Duration) {
        let all = Team::wait_for("an install of each client", || {
            let (installs, failures) = self.installs();
            let has = |client| {
                let mut all = installs.iter();
                all.any(|install| install.client == client && install.began > time)
            };
            assert!(failures.is_empty(), "{}", failures.join("\n"));
            Ok((0..CLIENTS).all(has).then_some(()))
        });
        all.unwrap();
    }

    /// All that was done so far: what went well, and what was said where it did not.
    fn installs(&self) -> (Vec<Install>, Vec<String>) {
        let (mut installs, mut failures) = (Vec::new(), Vec::new());
        for client in 0..CLIENTS {
            // A pod that is still to begin says nothing.
            let logs = self.team.attempt(&["logs", &pod(client)]).unwrap();
            for part in logs.stdout.split("load: ").skip(1) {
                match times(part) {
                    Some((began, ended)) => installs.push(Install {
                        client,
                        began,
                        ended,
                    }),
                    None => failures.push(format!("client {client}: {part}")),
                }
            }
        }
        (installs, failures)
    }

    /// Tells the clients to end, and says what they did: nothing failed, and installs were finished before, during and
    /// after all that happened.
    fn end(self) {
        for client in 0..CLIENTS {
            let tell = [
                "exec",
                &pod(client),
                "--",
                "/usr/bin/bash",
                "-c",
                "echo > /tmp/end",
            ];
            self.team.kubectl(&tell).unwrap();
        }
        for client in 0..CLIENTS {
            self.team.end_of(&pod(client)).unwrap();
        }
        let (installs, failures) = self.installs();
        println!(
            "{CLIENTS} clients installed {} times; {} failed",
            installs.len(),
            failures.len()
        );
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        let finished = |from, to| {
            let mut all: Vec<_> = installs.iter().collect();
            all.retain(|install| install.ended > from && install.ended <= to);
            all.len()
        };
        let mut earlier = Duration::ZERO;
        for (at, window) in self.windows.iter().enumerate() {
            let next = self.windows.get(at + 1);
            let next = next.map_or(Duration::MAX, |next| next.from);
            let counts = [
                finished(earlier, window.from),
                finished(window.from, window.to),
                finished(window.to, next),
            ];
            println!(
                "{}: {:.1} s; installs finished before, during and after: {counts:?}",
                window.what,
                window.to.saturating_sub(window.from).as_secs_f64()
            );
            let [before, during, after] = counts;
            assert!(
                before >= CLIENTS && during >= 1 && after >= CLIENTS,
                "{}: {counts:?}",
                window.what
            );
            earlier = window.to;
        }
    }
}

fn pod(client: usize) -> String {
    format!("load-{client}")
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// From when until when, if it is told that an install went well.
fn times(part: &str) -> Option<(Duration, Duration)> {
    let (began, ended) = part.strip_prefix("installed ")?.trim().split_once(' ')?;
    let time = |text: &str| Some(Duration::from_secs_f64(text.parse().ok()?));
    Some((time(began)?, time(ended)?))
}

/// Another release is rolled out, and a pod dies at once, as when its node is gone.
pub(super) fn upgrade_and_death(team: &Team) {
    let mut load = Load::start(team);
    load.meanwhile("a rolling upgrade", || upgrade(team));
    load.meanwhile("the death of a pod", || {
        let before = serving(team);
        team.kubectl(&["delete", "pod", &before[0], "--force", "--grace-period=0"])
            .unwrap();
        Team::wait_for("another pod", || {
            let pods = serving(team);
            Ok((pods.len() == before.len() && !pods.contains(&before[0])).then_some(()))
        })
        .unwrap();
        team.wait_ready(&["packagebroker/main"]).unwrap();
    });
    load.end();
}

fn upgrade(team: &Team) {
    let pods = serving(team);
    let next = json!({"spec": {"image": {"tag": "e2e-next"}}});
    team.patch(["packagebroker", "main"], &next).unwrap();
    Team::wait_for("the rollout", || {
        let object = team.get("packagebroker", "main")?;
        let is_new = object["status"]["image"]
            .as_str()
            .is_some_and(|image| image.ends_with(":e2e-next"));
        let generation = &object["metadata"]["generation"];
        let is_seen = &object["status"]["observedGeneration"] == generation;
        Ok((is_new && is_seen && status_of(&object, "Ready") == "True").then_some(()))
    })
    .unwrap();
    let upgraded = serving(team);
    assert!(
        upgraded.iter().all(|pod| !pods.contains(pod)),
        "{pods:?} {upgraded:?}"
    );
}

/// Pods that serve and are ready.
fn serving(team: &Team) -> Vec<String> {
    let list = team
        .kubectl(&[
            "get",
            "pods",
            "--selector=app.kubernetes.io/name=package-broker",
            "--output=json",
        ])
        .unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let pods = list["items"].as_array().unwrap().iter();
    let ready = pods.filter(|pod| {
        status_of(pod, "Ready") == "True" && pod["metadata"]["deletionTimestamp"].is_null()
    });
    ready
        .map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}
