//! Pure: from a seed, what users do, what goes wrong, and when the operator is killed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::child_names::{ChildName, POD_MONITOR, children_of};
use crate::damage::Damage;
use crate::fault_proxy::{Fault, Requests, Verb};
use crate::random::Random;

pub const TENANTS: usize = 30;
/// Time of faults and acts.
pub const STORM: Duration = Duration::from_secs(12);
/// By then every tenant has been made.
const LAST_START: Duration = Duration::from_secs(5);
/// What has to be put right by users before the calm, is so by then.
const LAST_ACT: Duration = Duration::from_millis(11_800);
/// Tenants whose number this divides come by label.
const BY_LABEL_EACH: usize = 6;

/// Damage that leaves a child without what tells that it is ours: if its tenant goes meanwhile, it stays for good.
const ORPHANING: [Damage; 2] = [Damage::WithoutOwner, Damage::AppliedUnderOurName];
/// What the operator would not take for its own any more, were the child not in the plan.
const DISOWNING: [Damage; 2] = [Damage::WithoutDigest, Damage::WithoutOurLabel];
/// All but an edit under our name, which nobody can see where the operator is killed.
const DAMAGE: [Damage; 9] = [
    Damage::Deleted,
    Damage::Edited,
    Damage::AppliedByForce,
    Damage::Replaced,
    Damage::AppliedUnderOurName,
    Damage::WithoutOurLabel,
    Damage::WithoutOwner,
    Damage::WithoutDigest,
    Damage::Emptied,
];

/// What tenants ask for.
pub fn specs() -> Vec<Value> {
    vec![
        json!({}),
        json!({"seldon": {"enabled": true}}),
        json!({"scrape": {"interval": "15s", "labels": {"team": "ml"}}}),
        json!({"gateway": {"resources": {"limits": {"memory": "64Mi"}}}, "dashboard": {"folder": "Tenants"}}),
        json!({"seldon": {"enabled": true}, "scrape": {"limits": {"samples": 1000}}}),
    ]
}

/// What a user does to their tenant.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// With the spec of this number.
    Create(usize),
    Change {
        spec: usize,
        paused: bool,
    },
    Pause(bool),
    Delete,
    /// By the label, or by its end.
    Enrol(bool),
    Damage(Damage, &'static ChildName),
    /// Writes another status.
    FalseStatus,
}

/// What a tenant is in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Nothing,
    /// The spec of this number.
    Spec(usize),
    Enrolled,
}

/// Requests that get a fault from some time on, for some time.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub at: Duration,
    pub lasts: Duration,
    pub requests: Requests,
    pub fault: Fault,
}

pub struct Schedule {
    pub seed: u64,
    /// Of each tenant, in order of time.
    pub acts: Vec<Vec<(Duration, Act)>>,
    pub ends: Vec<End>,
    pub troubles: Vec<Trouble>,
    /// When the operator is killed, and for how long none runs.
    pub kills: Vec<(Duration, Duration)>,
}

impl Schedule {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (mut acts, mut ends) = (Vec::new(), Vec::new());
        for tenant in 0..TENANTS {
            let mut story = Story::new(&mut random);
            if tenant % BY_LABEL_EACH == 0 {
                story.by_label();
            } else {
                story.by_object();
            }
            ends.push(story.end);
            acts.push(story.acts);
        }
        // In half of the seeds never: a start heals what a fault breaks.
        let kills = match random.percent(50) {
            true => kills(&mut random),
            false => Vec::new(),
        };
        let troubles = troubles(&mut random);
        Self {
            seed,
            acts,
            ends,
            troubles,
            kills,
        }
    }

    pub fn namespace(&self, tenant: usize) -> String {
        format!("seed-{}-tenant-{tenant:02}", self.seed)
    }

    /// Everything, for a person.
    pub fn in_words(&self) -> String {
        let mut lines = vec![format!("seed {}", self.seed)];
        for (tenant, acts) in self.acts.iter().enumerate() {
            let acts: Vec<_> = acts
                .iter()
                .map(|(at, act)| format!("{:.1} s {act:?}", at.as_secs_f64()))
                .collect();
            lines.push(format!(
                "{}: {}; in the end {:?}",
                self.namespace(tenant),
                acts.join(", "),
                self.ends[tenant]
            ));
        }
        lines.extend(self.troubles.iter().map(|t| {
            format!(
                "{:.1} s, for {:.1} s: {:?} of {}",
                t.at.as_secs_f64(),
                t.lasts.as_secs_f64(),
                t.fault,
                t.requests.in_words()
            )
        }));
        lines.extend(self.kills.iter().map(|(at, for_)| {
            format!(
                "{:.1} s: killed, none for {:.1} s",
                at.as_secs_f64(),
                for_.as_secs_f64()
            )
        }));
        lines.join("\n")
    }
}

/// What the user of one tenant does.
struct Story<'a> {
    random: &'a mut Random,
    acts: Vec<(Duration, Act)>,
    end: End,
    paused: bool,
    orphans: bool,
    now: Duration,
}

impl<'a> Story<'a> {
    fn new(random: &'a mut Random) -> Self {
        Self {
            random,
            acts: Vec::new(),
            end: End::Nothing,
            paused: false,
            orphans: false,
            now: Duration::ZERO,
        }
    }

    /// Goes on to a time; false when there is none left.
    fn later(&mut self) -> bool {
        let pause = self
            .random
            .time(Duration::from_millis(200), Duration::from_millis(3500));
        self.now += pause;
        self.now < LAST_ACT
    }

    fn act(&mut self, act: Act) {
        self.acts.push((self.now, act));
    }

    fn by_object(&mut self) {
        self.now = self.random.time(Duration::ZERO, LAST_START);
        self.create();
        while self.later() {
            match self.end {
                End::Nothing => self.create(),
                _ => self.something(),
            }
        }
        self.now = LAST_ACT;
        if self.paused {
            self.act(Act::Pause(false));
        }
        if self.end == End::Nothing && self.orphans {
            self.create();
        }
    }

    fn create(&mut self) {
        let spec = self.random.below(specs().len());
        self.act(Act::Create(spec));
        (self.end, self.paused) = (End::Spec(spec), false);
    }

    fn something(&mut self) {
        match self.random.below(100) {
            0..20 => {
                let spec = self.random.below(specs().len());
                let paused = self.paused;
                self.act(Act::Change { spec, paused });
                self.end = End::Spec(spec);
            }
            20..32 => {
                self.paused = !self.paused;
                self.act(Act::Pause(self.paused));
            }
            32..44 => {
                self.act(Act::Delete);
                self.end = End::Nothing;
            }
            44..52 => self.act(Act::FalseStatus),
            _ => self.damage(),
        }
    }

    fn by_label(&mut self) {
        self.now = self.random.time(Duration::ZERO, LAST_START);
        self.enrol(true);
        while self.later() {
            if self.end == End::Nothing {
                self.enrol(true);
            } else if self.random.percent(20) {
                self.enrol(false);
            } else {
                self.damage();
            }
        }
        self.now = LAST_ACT;
        if self.end == End::Nothing && self.orphans {
            self.enrol(true);
        }
    }

    fn enrol(&mut self, on: bool) {
        self.act(Act::Enrol(on));
        self.end = if on { End::Enrolled } else { End::Nothing };
    }

    fn damage(&mut self) {
        let spec = match self.end {
            End::Spec(spec) => specs()[spec].clone(),
            _ => json!({}),
        };
        let children: Vec<_> = children_of(&spec).collect();
        let child = self.random.one_of(&children);
        let damage = self.random.one_of(&DAMAGE);
        // A child that another spec has not would be nobody's then.
        if *child == POD_MONITOR && (ORPHANING.contains(&damage) || DISOWNING.contains(&damage)) {
            return;
        }
        self.orphans |= ORPHANING.contains(&damage);
        self.act(Act::Damage(damage, child));
    }
}

fn kills(random: &mut Random) -> Vec<(Duration, Duration)> {
    let second = Duration::from_secs(1);
    let mut at = Duration::ZERO;
    let mut kills = Vec::new();
    loop {
        at += random.time(second * 2, second * 6);
        if at >= STORM {
            return kills;
        }
        let down = random.time(Duration::ZERO, second * 2);
        kills.push((at, down));
        at += down;
    }
}

/// Kinds of faults, of which each seed leaves out some: one heals what another breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    TooManyRequests,
    InternalError,
    Unavailable,
    Conflict,
    Reset,
    LoseAnswer,
    Cut,
    Late,
    Hang,
    HangAfter,
    Outage,
    ListEndsHalfway,
    Silence,
    End,
    Gone,
    Twice,
    Old,
}

const KINDS: [Kind; 17] = [
    Kind::TooManyRequests,
    Kind::InternalError,
    Kind::Unavailable,
    Kind::Conflict,
    Kind::Reset,
    Kind::LoseAnswer,
    Kind::Cut,
    Kind::Late,
    Kind::Hang,
    Kind::HangAfter,
    Kind::Outage,
    Kind::ListEndsHalfway,
    Kind::Silence,
    Kind::End,
    Kind::Gone,
    Kind::Twice,
    Kind::Old,
];
const KEPT_PERCENT: usize = 60;
const RESOURCES: [&str; 8] = [
    "metricsnamespaces",
    "namespaces",
    "deployments",
    "services",
    "serviceaccounts",
    "configmaps",
    "servicemonitors",
    "podmonitors",
];

fn troubles(random: &mut Random) -> Vec<Trouble> {
    let mut kinds: Vec<_> = KINDS
        .into_iter()
        .filter(|_| random.percent(KEPT_PERCENT))
        .collect();
    if kinds.is_empty() {
        kinds.push(Kind::LoseAnswer);
    }
    let mut troubles = Vec::new();
    let mut at = Duration::ZERO;
    while at < STORM {
        let kind = random.one_of(&kinds);
        troubles.push(trouble(random, kind, at));
        at += random.time(Duration::from_millis(50), Duration::from_millis(400));
    }
    troubles
}

fn trouble(random: &mut Random, kind: Kind, at: Duration) -> Trouble {
    let tenth = Duration::from_millis(100);
    let to_the_end = STORM - at;
    let short = random.time(tenth * 3, tenth * 30).min(to_the_end);
    let (requests, fault, lasts) = match kind {
        Kind::TooManyRequests => {
            let seconds = 1 + u32::try_from(random.below(3)).unwrap();
            (some(random), Fault::TooManyRequests(seconds), short)
        }
        Kind::InternalError => (some(random), Fault::Answer(500), short),
        Kind::Unavailable => (some(random), Fault::Answer(503), short),
        Kind::Conflict => (some_writes(random), Fault::Answer(409), short),
        Kind::Reset => (some(random), Fault::Reset, short),
        Kind::LoseAnswer => (some_writes(random), Fault::LoseAnswer, short),
        Kind::Cut => (some(random), Fault::Cut, short),
        Kind::Late => {
            let late = random.time(tenth, tenth * 15);
            let fault = random.one_of(&[Fault::Late(late), Fault::LateAnswer(late)]);
            (some(random), fault, short)
        }
        Kind::Hang => (some(random), Fault::Hang, short),
        Kind::HangAfter => (some_writes(random), Fault::HangAfter, short),
        Kind::Outage => {
            let fault = random.one_of(&[Fault::Answer(503), Fault::Reset, Fault::Answer(500)]);
            (Requests::all(), fault, short)
        }
        Kind::ListEndsHalfway => (Requests::lists().continued(), Fault::Answer(410), short),
        // A silent watch ends only in the calm.
        Kind::Silence => (one_watch(random), Fault::Silence, to_the_end),
        Kind::End => (watches(random), Fault::End, Duration::ZERO),
        Kind::Gone => (watches(random), Fault::Gone, Duration::ZERO),
        Kind::Twice => (watches(random), Fault::Twice, short),
        Kind::Old => (watches(random), Fault::Old, short),
    };
    Trouble {
        at,
        lasts,
        requests,
        fault,
    }
}

fn few(random: &mut Random, requests: Requests) -> Requests {
    requests.times(1 + random.below(6))
}

fn some(random: &mut Random) -> Requests {
    let requests = match random.below(4) {
        0 => Requests::lists(),
        1 => Requests::with(&[Verb::Watch]).of(random.one_of(&RESOURCES)),
        2 => return some_writes(random),
        _ => Requests::all().of(random.one_of(&RESOURCES)),
    };
    few(random, requests)
}

fn some_writes(random: &mut Random) -> Requests {
    let requests = match random.below(4) {
        0 => Requests::writes(),
        1 => Requests::writes().of("metricsnamespaces/status"),
        2 => Requests::writes().of(random.one_of(&RESOURCES)),
        _ => Requests::with(&[random.one_of(&[Verb::Create, Verb::Patch, Verb::Delete])]),
    };
    few(random, requests)
}

fn one_watch(random: &mut Random) -> Requests {
    Requests::watches().of(random.one_of(&RESOURCES)).times(1)
}

fn watches(random: &mut Random) -> Requests {
    match random.percent(50) {
        true => Requests::watches(),
        false => Requests::watches().of(random.one_of(&RESOURCES)),
    }
}

#[test]
fn a_seed_is_the_same_each_time() {
    let words = Schedule::new(7).in_words();
    assert_eq!(words, Schedule::new(7).in_words());
    assert_ne!(words, Schedule::new(8).in_words());
}

#[test]
fn seeds_are_as_they_should_be() {
    let all: Vec<_> = (1..=200).map(Schedule::new).collect();
    let killed = all.iter().filter(|s| !s.kills.is_empty()).count();
    assert!(
        (80..=120).contains(&killed),
        "{killed} of 200 kill the operator"
    );
    for schedule in &all {
        for (acts, end) in schedule.acts.iter().zip(&schedule.ends) {
            assert!(acts.is_sorted_by_key(|(at, _)| *at), "{acts:?}");
            let paused = acts.iter().fold(false, |paused, (_, act)| match act {
                Act::Pause(paused) | Act::Change { paused, .. } => *paused,
                Act::Create(_) => false,
                _ => paused,
            });
            assert!(!paused || *end == End::Nothing, "{acts:?}");
        }
    }
}
