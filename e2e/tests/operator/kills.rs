//! Changes of an installation, made again and again with an operator that is killed at every place that it passes while it
//! makes them: each time the end is that of a change that nobody disturbed.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    backing::Servers,
    mirror::Mirror,
    normal,
    process::{Gateway, Operator, failpoints},
    support::{LIMIT, Team},
    watched::Watched,
};

/// How long all must have been the same before it counts as the end of an undisturbed change.
const STILL: Duration = Duration::from_secs(4);
/// A place that an undisturbed change passed and that is not passed for so long after the end state is there is not passed
/// this time: what is done at once one time is done in two steps another.
const PASSED_BY: Duration = Duration::from_secs(6);

/// Something that a user does.
pub(super) struct Change<'a> {
    pub(super) name: &'static str,
    pub(super) make: Box<dyn Fn() + 'a>,
    /// Whether what was asked for is so.
    pub(super) is_done: Box<dyn Fn() -> bool + 'a>,
}

/// A change as it goes when nobody disturbs it.
struct Known<'a> {
    change: Change<'a>,
    /// The places that the operator passes.
    places: Vec<String>,
    /// What there is then.
    state: State,
    /// How many Jobs are made.
    jobs: usize,
}

/// Everything that there is.
#[derive(PartialEq)]
struct State {
    /// In the cluster.
    objects: Vec<String>,
    /// In the database, and whether what is there twice is the same.
    rows: Vec<String>,
}

/// An operator, and the place that it ends at once it is told to.
struct Running {
    operator: Operator,
    heeds: String,
}

/// Where changes are made.
pub(super) struct Stage<'a> {
    team: &'a Team,
    folder: &'a Path,
    gateway: &'a Gateway,
    servers: Option<&'a Servers>,
    jobs: Watched,
    /// Where it was killed so far.
    killed: RefCell<BTreeSet<String>>,
}

/// Where an operator is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kills {
    /// At every place, on the way there and back.
    Everywhere,
    /// At every place on the way there; the way back is gone through elsewhere.
    OnTheWay,
    /// On the way there where it was not killed on this stage yet: for a change that is made as another one is, but for a
    /// few places.
    WhereNew,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        team: &'a Team,
        folder: &'a Path,
        gateway: &'a Gateway,
        servers: Option<&'a Servers>,
    ) -> Self {
        Self {
            jobs: Watched::begin(team, "jobs"),
            killed: RefCell::default(),
            team,
            folder,
            gateway,
            servers,
        }
    }

    /// An operator that begins to heed a place when it is told to.
    fn start(&self, place: &str) -> Running {
        let armed = self.armed();
        // Of the one before, if it got so far.
        let _ = fs::remove_file(&armed);
        let from = (self.folder, self.gateway);
        let operator = Operator::start_armed_later(from, self.team.name(), place, &armed);
        Running {
            operator: operator.unwrap(),
            heeds: place.to_owned(),
        }
    }

    fn armed(&self) -> PathBuf {
        self.folder.join("armed")
    }

    fn arm(&self) {
        fs::write(self.armed(), "").unwrap();
    }

    /// Makes a change and the one that undoes it, undisturbed, and then as often as there are places to be killed at.
    pub(super) fn killed(&self, kills: Kills, changes: [Change<'a>; 2]) {
        let mut running = self.start("trace");
        if let Err(error) = self.team.wait_ready(&["package-broker", "--all"]) {
            panic!("{error}\n{}", running.operator.log());
        }
        let mut changes = changes.map(|change| self.undisturbed(change, &running.operator));
        if kills != Kills::Everywhere {
            changes[1].places.clear();
        }
        if kills == Kills::WhereNew {
            let killed = self.killed.borrow();
            changes[0].places.retain(|place| !killed.contains(place));
        }
        let rounds = changes.iter().map(|known| known.places.len()).max();
        let mut steps: Vec<(&Known<'_>, Option<&str>)> = Vec::new();
        for round in 0..rounds.unwrap_or_default() {
            for known in &changes {
                steps.push((known, known.places.get(round).map(String::as_str)));
            }
        }
        let begun = self.made_jobs();
        for (number, (known, place)) in steps.iter().enumerate() {
            if let Some(place) = place
                && running.heeds != *place
            {
                running.operator.kill();
                running = self.start(place);
            }
            let before = self.made_jobs();
            let is_killed = self.step(known, *place, &mut running.operator);
            if is_killed {
                let mut rest = steps.iter().skip(number + 1);
                let next = rest.find_map(|(_, place)| *place);
                running = self.start(next.unwrap_or_default());
            } else if place.is_some() {
                // It heeds its place from now on, whenever it passes it.
                running.operator.kill();
                running = self.start("");
            }
            self.comes_to(known, *place, &running.operator, before);
        }
        // None came late, when nobody counted.
        let expected: usize = steps.iter().map(|(known, _)| known.jobs).sum();
        assert_eq!(self.made_jobs() - begun, expected, "Jobs made");
        running.operator.kill();
    }

    /// How a change goes by itself.
    fn undisturbed(&self, change: Change<'a>, operator: &Operator) -> Known<'a> {
        let before = self.made_jobs();
        let said = operator.log().len();
        self.arm();
        (change.make)();
        let done = Team::wait_for(change.name, || Ok((change.is_done)().then_some(())));
        done.unwrap_or_else(|error| panic!("{error}\n{}", operator.log()));
        let (mut state, mut since) = (self.state(), Instant::now());
        let deadline = Instant::now() + LIMIT;
        while since.elapsed() < STILL {
            assert!(Instant::now() < deadline, "{}: no end", change.name);
            let now = self.state();
            if now != state || normal::is_going(&now.objects) {
                (state, since) = (now, Instant::now());
            }
            thread::sleep(Duration::from_millis(100));
        }
        self.team.check_kstatus().unwrap();
        let mut places = Vec::new();
        for line in operator.log()[said..].lines() {
            let place = line.strip_prefix("failpoint ").map(str::to_owned);
            places.extend(place.filter(|place| !places.contains(place)));
        }
        let jobs = self.made_jobs() - before;
        println!("{}: {} places, {jobs} Jobs", change.name, places.len());
        assert!(!places.is_empty(), "{}", operator.log());
        Known {
            change,
            places,
            state,
            jobs,
        }
    }

    /// Makes a change once more, and has the operator be killed on the way. `false` if it was not, as there was no place to
    /// be killed at, or that was not passed.
    fn step(&self, known: &Known<'_>, place: Option<&str>, operator: &mut Operator) -> bool {
        if place.is_some() {
            self.arm();
        }
        (known.change.make)();
        let Some(place) = place else {
            return false;
        };
        let deadline = Instant::now() + LIMIT;
        let mut settled: Option<Instant> = None;
        loop {
            if let Some(status) = operator.ended().unwrap() {
                assert_eq!(status.code(), Some(137), "{place}: {}", operator.log());
                note(place);
                self.killed.borrow_mut().insert(place.to_owned());
                return true;
            }
            if !self.is_at(&known.state) {
                settled = None;
            } else if settled.get_or_insert_with(Instant::now).elapsed() > PASSED_BY {
                println!("{}: {place} was not passed this time", known.change.name);
                return false;
            }
            if Instant::now() > deadline {
                let difference = self.difference(&known.state);
                panic!("{place} was not passed:\n{difference}\n{}", operator.log());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for the end state, and sees that no Job was made twice.
    fn comes_to(&self, known: &Known<'_>, place: Option<&str>, operator: &Operator, before: usize) {
        let (name, place) = (known.change.name, place.unwrap_or("no place"));
        let began = Instant::now();
        let settled = Team::wait_for("the end state", || {
            Ok(self.is_at(&known.state).then_some(()))
        });
        if settled.is_err() {
            let difference = self.difference(&known.state);
            panic!(
                "{name}: killed at {place}:\n{difference}\n{}",
                operator.log()
            );
        }
        let made = || self.made_jobs() - before;
        // The watch tells of them a moment later.
        Team::wait_for("word of the Jobs", || {
            Ok((made() >= known.jobs).then_some(()))
        })
        .unwrap();
        let made = made();
        assert_eq!(
            made,
            known.jobs,
            "{name}: killed at {place}: Jobs made\n{}",
            operator.log()
        );
        self.team.check_kstatus().unwrap();
        println!(
            "{name:28} killed at {place:28} one end state after {:.1} s",
            began.elapsed().as_secs_f64()
        );
    }

    /// How many Jobs were ever made.
    fn made_jobs(&self) -> usize {
        let events = self.jobs.events();
        let uids: BTreeSet<String> = events
            .iter()
            .map(|event| event["object"]["metadata"]["uid"].to_string())
            .collect();
        uids.len()
    }

    fn difference(&self, wanted: &State) -> String {
        let now = self.state();
        let lines = |state: &State| [&state.objects[..], &state.rows].concat();
        normal::difference(&lines(&now), &lines(wanted))
    }

    /// Whether all is as it is there. The database is asked only when nothing else differs.
    fn is_at(&self, wanted: &State) -> bool {
        let all = Mirror::get().of(self.team.name());
        normal::objects(&all) == wanted.objects && self.rows(&all) == wanted.rows
    }

    fn state(&self) -> State {
        let all = Mirror::get().of(self.team.name());
        State {
            objects: normal::objects(&all),
            rows: self.rows(&all),
        }
    }

    fn rows(&self, all: &[Value]) -> Vec<String> {
        let mut said = normal::tokens(all, self.servers);
        if let Some(servers) = self.servers {
            for table in ["repositories", "tokens", "packages"] {
                let column = if table == "packages" {
                    "repository || ' ' || package"
                } else {
                    "name"
                };
                let rows = servers.sql(&format!("SELECT {column} FROM {table} ORDER BY 1"));
                let rows = rows.unwrap_or_else(|_| "no table".to_owned());
                said.push(format!("rows of {table}: {}", rows.replace('\n', ", ")));
            }
        }
        said
    }
}

/// The tests that between them kill an operator at every place.
const TESTS: [&str; 8] = [
    "made on a volume",
    "made on servers",
    "an upgrade",
    "surroundings",
    "on a volume",
    "members",
    "a broker first",
    "of namespaces",
];

/// Places that an operator was killed at, and the tests that are through.
static KILLED: Mutex<(BTreeSet<String>, BTreeSet<&str>)> =
    Mutex::new((BTreeSet::new(), BTreeSet::new()));

/// Notes that an operator was killed there.
pub(super) fn note(place: &str) {
    let mut killed = KILLED.lock().unwrap_or_else(PoisonError::into_inner);
    killed.0.insert(place.to_owned());
}

/// Notes that a test is through. After the last of them, no place may be left.
pub(super) fn finished(test: &'static str) {
    assert!(TESTS.contains(&test));
    let mut killed = KILLED.lock().unwrap_or_else(PoisonError::into_inner);
    killed.1.insert(test);
    if killed.1.len() < TESTS.len() {
        return;
    }
    let mut never = failpoints();
    never.retain(|(_, place)| !killed.0.contains(place));
    assert!(never.is_empty(), "never killed at {never:?}");
}
