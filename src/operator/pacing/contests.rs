//! Fights: somebody keeps changing a child, or the status, back. Who, what and how often goes into the status, and after
//! a while the operator answers less often.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::reflector::ObjectRef;
use serde_json::{Map, Value};

use crate::api::{MetricsNamespace, names};
use crate::terminal::one_line;

use crate::operator::children::Child;
use crate::operator::kind::Kind;
use crate::operator::locked::Locked;
use crate::operator::ownership;

/// Times that one writer changes a child back before it is called a fight: more than a person's doubt brings.
const ENOUGH: usize = 6;
/// What is longer ago does not count.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// At most so many times are remembered.
const KEPT: usize = 200;
/// A fight that is younger is answered at once.
const PATIENCE: Duration = Duration::from_secs(60);
/// After that, one answer in this time.
const EVERY: Duration = Duration::from_secs(30);
/// A fight that rests for less is not over, however fast it was.
const SHORTEST_REST: Duration = Duration::from_secs(90);
/// A fight is over when it rests for so many times as long as it did between its last blows.
const RESTS: u32 = 3;
/// Blows by which the pace of a fight is told.
const PACE: usize = 5;
/// A count in words grows in these steps: each change is a write of the status.
const STEPS: [usize; 6] = [5, 10, 20, 50, 100, 200];
/// Writers, fields and children that are named at most.
const NAMED: usize = 3;
/// Writers of one thing that are told apart at most. Who writes under ever new names is one more.
const WRITERS: usize = 8;
/// Characters of a writer's or a field's name at most.
const LONGEST_NAME: usize = 100;

type Reference = ObjectRef<MetricsNamespace>;

/// The fights of all objects.
#[derive(Default)]
pub struct Contests(Locked<Known>);

#[derive(Default)]
struct Known {
    objects: HashMap<Reference, Fights>,
    /// When those were last gone through for what is long past.
    pruned: Option<Instant>,
}

/// The fights of one object. Another that gets its name later is not to hear of them.
struct Fights {
    uid: Option<String>,
    contests: Vec<Contest>,
}

impl Known {
    fn contests(&self, object: &Reference) -> impl Iterator<Item = &Contest> {
        let fights = self.objects.get(object);
        let fights = fights.filter(|fights| fights.uid == object.extra.uid);
        fights.into_iter().flat_map(|fights| &fights.contests)
    }

    fn contests_to_change(&mut self, object: &Reference) -> &mut Vec<Contest> {
        let uid = object.extra.uid.clone();
        let new = || Fights {
            uid: uid.clone(),
            contests: Vec::new(),
        };
        let fights = self.objects.entry(object.clone()).or_insert_with(new);
        if fights.uid != uid {
            *fights = new();
        }
        &mut fights.contests
    }

    fn prune(&mut self, now: Instant) {
        let lately = |at: Instant| now.duration_since(at) < REMEMBERED;
        if self.pruned.is_some_and(lately) {
            return;
        }
        self.pruned = Some(now);
        self.objects.retain(|_, fights| {
            let contests = &mut fights.contests;
            contests.retain(|c| c.answers.back().copied().is_some_and(lately));
            !contests.is_empty()
        });
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ground {
    Child {
        kind: Kind,
        name: String,
        /// Of what this operator wants. What it did not want before, nobody fights against.
        digest: String,
    },
    /// The object's own status.
    Status,
}

impl From<&Child> for Ground {
    fn from(child: &Child) -> Self {
        Self::Child {
            kind: child.kind,
            name: child.name.clone(),
            digest: child.digest.clone(),
        }
    }
}

impl Ground {
    /// Whether this is the same child, as it was wanted before.
    fn was(&self, now: &Self) -> bool {
        match (self, now) {
            (
                Self::Child { kind, name, .. },
                Self::Child {
                    kind: other_kind,
                    name: other_name,
                    ..
                },
            ) => (kind, name) == (other_kind, other_name) && self != now,
            _ => false,
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Child { kind, name, .. } => format!("{} {name}", kind.as_str()),
            Self::Status => "this status".to_owned(),
        }
    }
}

/// What one writer did to one child, or to the status, lately.
struct Contest {
    ground: Ground,
    /// When it was set right.
    answers: VecDeque<Instant>,
    began: Instant,
    last: Rivalry,
}

/// What somebody did to a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rivalry {
    Deleted,
    Changed {
        /// By these writers, as far as is known.
        by: Vec<String>,
        /// In these fields, as far as is known.
        fields: Vec<String>,
    },
}

impl Rivalry {
    /// Changed, and neither by whom nor what is known.
    pub fn somebody() -> Self {
        Self::Changed {
            by: Vec::new(),
            fields: Vec::new(),
        }
    }
}

impl Contest {
    fn new(ground: Ground, rivalry: Rivalry, now: Instant) -> Self {
        Self {
            ground,
            answers: VecDeque::new(),
            began: now,
            last: rivalry,
        }
    }

    fn is_by(&self, rivalry: &Rivalry) -> bool {
        match (&self.last, rivalry) {
            (Rivalry::Deleted, Rivalry::Deleted) => true,
            (Rivalry::Changed { by, .. }, Rivalry::Changed { by: other, .. }) => by == other,
            _ => false,
        }
    }

    /// When the fight is over, if there is one.
    fn ends(&self) -> Option<Instant> {
        let (first, last) = (
            self.answers.iter().rev().nth(PACE - 1)?,
            self.answers.back()?,
        );
        let pace = last.duration_since(*first) / u32::try_from(PACE - 1).unwrap_or(u32::MAX);
        let rest = pace.saturating_mul(RESTS).max(SHORTEST_REST);
        (self.answers.len() >= ENOUGH).then(|| *last + rest)
    }

    fn is_on(&self, now: Instant) -> bool {
        self.ends().is_some_and(|end| now < end)
    }

    /// When it may be answered again; `None`: at once.
    fn answer_due(&self, now: Instant) -> Option<Instant> {
        let slow = self.is_on(now) && now.duration_since(self.began) >= PATIENCE;
        let due = *self.answers.back()? + EVERY;
        (slow && now < due).then_some(due)
    }

    fn note(&mut self, rivalry: Rivalry, now: Instant) {
        if self.ends().is_some_and(|end| end <= now) {
            self.answers.clear();
        }
        let is_old = |answer: &Instant| now.duration_since(*answer) >= REMEMBERED;
        while self.answers.len() >= KEPT || self.answers.front().is_some_and(is_old) {
            self.answers.pop_front();
        }
        if self.answers.is_empty() {
            self.began = now;
        }
        self.answers.push_back(now);
        self.last = rivalry;
    }

    fn in_words(&self, now: Instant) -> String {
        let ground = self.ground.in_words();
        let what = match &self.last {
            Rivalry::Deleted => format!("somebody keeps deleting {ground}"),
            Rivalry::Changed { by, fields } => {
                let who = match by.as_slice() {
                    [] => "somebody".to_owned(),
                    by => by.join(", "),
                };
                match fields.as_slice() {
                    [] => format!("{who} keeps changing {ground}"),
                    fields => format!("{who} keeps changing {} of {ground}", fields.join(", ")),
                }
            }
        };
        let count = self
            .answers
            .iter()
            .filter(|answer| now.duration_since(**answer) < REMEMBERED)
            .count();
        let least = STEPS.iter().rev().find(|step| **step <= count);
        format!(
            "{what}, at least {} times within the last hour",
            least.unwrap_or(&ENOUGH)
        )
    }
}

impl Contests {
    /// How long something is left as it is, because it would only be changed back at once.
    pub fn wait(
        &self,
        object: &Reference,
        ground: impl Into<Ground>,
        now: Instant,
    ) -> Option<Duration> {
        let ground = ground.into();
        let all = self.0.lock();
        let due = all
            .contests(object)
            .filter(|c| c.ground == ground)
            .filter_map(|c| c.answer_due(now));
        Some(due.max()?.duration_since(now))
    }

    /// Notes that something was set right, and what somebody had done to it.
    pub fn answered(
        &self,
        object: &Reference,
        ground: impl Into<Ground>,
        rivalry: Rivalry,
        now: Instant,
    ) {
        let ground = ground.into();
        let mut all = self.0.lock();
        all.prune(now);
        let contests = all.contests_to_change(object);
        contests.retain(|c| !c.ground.was(&ground));
        let here = || contests.iter().filter(|c| c.ground == ground);
        let rivalry = match rivalry {
            Rivalry::Changed { fields, .. }
                if !here().any(|c| c.is_by(&rivalry)) && here().count() >= WRITERS =>
            {
                let by = Vec::new();
                Rivalry::Changed { by, fields }
            }
            rivalry => rivalry,
        };
        let is_it = |c: &&mut Contest| c.ground == ground && c.is_by(&rivalry);
        match contests.iter_mut().find(is_it) {
            Some(contest) => contest.note(rivalry, now),
            None => {
                let mut contest = Contest::new(ground, rivalry.clone(), now);
                contest.note(rivalry, now);
                contests.push(contest);
            }
        }
    }

    /// What is fought over, as a person reads it; `None` where nothing is.
    pub fn in_words(&self, object: &Reference, now: Instant) -> Option<String> {
        let all = self.0.lock();
        let on: Vec<_> = all.contests(object).filter(|c| c.is_on(now)).collect();
        if on.is_empty() {
            return None;
        }
        let slow = on.iter().any(|c| now.duration_since(c.began) >= PATIENCE);
        let fights: Vec<_> = on.iter().take(NAMED).map(|c| c.in_words(now)).collect();
        let pace = match slow {
            true => format!("only every {} seconds", EVERY.as_secs()),
            false => "each time".to_owned(),
        };
        Some(format!(
            "{}; Simplepipe sets that right {pace}. End the other writer, or set spec.paused to true",
            fights.join("; ")
        ))
    }

    /// When the next fight may be answered, or is over.
    pub fn look(&self, object: &Reference, now: Instant) -> Option<Duration> {
        let all = self.0.lock();
        let on = all.contests(object).filter(|c| c.is_on(now));
        on.flat_map(|c| [c.answer_due(now), c.ends()])
            .flatten()
            .map(|moment| moment.duration_since(now))
            .min()
    }
}

/// Who changed a child, and which of the fields that are wanted, by what the API server noted of its writers.
pub fn rivalry(metadata: &ObjectMeta, wanted: &Value) -> Rivalry {
    let ours = ownership::entry(metadata).map(|entry| entry.fields);
    let others = metadata
        .managed_fields
        .iter()
        .flatten()
        .filter(|e| e.manager.as_deref() != Some(names::MANAGER));
    let (mut by, mut fields) = (BTreeSet::new(), BTreeSet::new());
    for entry in others {
        let mut taken = Vec::new();
        if let Some(theirs) = &entry.fields_v1 {
            find_taken(&theirs.0, ours, wanted, "", &mut taken);
        }
        if !taken.is_empty() {
            let manager = entry.manager.as_deref().unwrap_or_default();
            by.insert(one_line(manager, LONGEST_NAME));
            fields.extend(taken.iter().map(|field| one_line(field, LONGEST_NAME)));
        }
    }
    if by.is_empty() && is_another_operators(metadata, ours, wanted) {
        by.insert("another Simplepipe operator".to_owned());
    }
    Rivalry::Changed {
        by: by.into_iter().take(NAMED).collect(),
        fields: fields.into_iter().take(NAMED).collect(),
    }
}

/// Whether an operator with other settings wrote it: under our name, and with another digest.
fn is_another_operators(metadata: &ObjectMeta, ours: Option<&Value>, wanted: &Value) -> bool {
    let digest = &wanted["metadata"]["annotations"][names::DIGEST_ANNOTATION];
    let path = format!("f:{}", names::DIGEST_ANNOTATION);
    let is_ours = ours.is_some_and(|ours| ours["f:metadata"]["f:annotations"].get(path).is_some());
    let annotations = metadata.annotations.as_ref();
    is_ours
        && annotations
            .and_then(|a| a.get(names::DIGEST_ANNOTATION))
            .is_some_and(|found| digest != found)
}

/// Finds the fields that are wanted, theirs, and no longer ours.
fn find_taken(
    theirs: &Value,
    ours: Option<&Value>,
    wanted: &Value,
    path: &str,
    taken: &mut Vec<String>,
) {
    for (key, below) in theirs.as_object().into_iter().flatten() {
        let found = if let Some(name) = key.strip_prefix("f:") {
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric());
            let place = match (path, plain) {
                ("", true) => name.to_owned(),
                (path, true) => format!("{path}.{name}"),
                (path, false) => format!("{path}[{name}]"),
            };
            wanted.get(name).map(|wanted| (wanted, place))
        } else if let Some(keys) = key.strip_prefix("k:") {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let is_it = |item: &&Value| keys.iter().all(|(name, v)| item.get(name) == Some(v));
            let item = wanted.as_array().and_then(|items| items.iter().find(is_it));
            let name = keys.values().next().map(ToString::to_string);
            item.map(|item| (item, format!("{path}[{}]", name.unwrap_or_default())))
        } else if let Some(value) = key.strip_prefix("v:") {
            let value: Option<Value> = serde_json::from_str(value).ok();
            let is_it = |item: &&Value| Some(*item) == value.as_ref();
            let item = wanted.as_array().and_then(|items| items.iter().find(is_it));
            item.map(|item| (item, path.to_owned()))
        } else {
            None
        };
        let Some((wanted, place)) = found else {
            continue;
        };
        let ours = ours.and_then(|ours| ours.get(key));
        let is_whole = below.as_object().is_none_or(Map::is_empty);
        if !is_whole {
            find_taken(below, ours, wanted, &place, taken);
        } else if ours.is_none() {
            taken.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::children::build;
    use crate::operator::plan::fixtures;
    use rstest::rstest;
    use serde_json::json;

    fn deployment() -> Child {
        let mut children = build(&fixtures::alice()).unwrap().into_iter();
        children.find(|c| c.kind == Kind::Deployment).unwrap()
    }

    fn object() -> Reference {
        ObjectRef::new("metrics").within("alice")
    }

    fn downscaler() -> Rivalry {
        Rivalry::Changed {
            by: vec!["kube-downscaler".into()],
            fields: vec!["spec.replicas".into()],
        }
    }

    /// Somebody changes the child back in `pause` after each answer, for so long. When the answers were.
    fn fight(contests: &Contests, from: Instant, pause: Duration, long: Duration) -> Vec<Instant> {
        let (object, child) = (object(), deployment());
        let (mut now, mut answers) = (from, Vec::new());
        while now.duration_since(from) < long {
            now += contests.wait(&object, &child, now).unwrap_or_default();
            contests.answered(&object, &child, downscaler(), now);
            answers.push(now);
            now += pause;
        }
        answers
    }

    #[test]
    fn a_fight_is_told_with_writer_field_and_count() {
        let contests = Contests::default();
        let answers = fight(
            &contests,
            Instant::now(),
            Duration::from_millis(500),
            Duration::from_secs(6),
        );
        let words = contests
            .in_words(&object(), *answers.last().unwrap())
            .unwrap();
        assert_eq!(
            words,
            "kube-downscaler keeps changing spec.replicas of Deployment pushgateway, at least 10 times within the \
             last hour; Simplepipe sets that right each time. End the other writer, or set spec.paused to true"
        );
    }

    #[test]
    fn after_a_minute_of_a_fight_there_is_one_answer_in_thirty_seconds() {
        let contests = Contests::default();
        let start = Instant::now();
        let answers = fight(
            &contests,
            start,
            Duration::from_millis(500),
            Duration::from_secs(600),
        );
        let slow: Vec<_> = answers.iter().filter(|a| **a > start + PATIENCE).collect();
        assert_eq!(slow.len(), 540 / 30);
        assert!(
            slow.windows(2)
                .all(|two| two[1].duration_since(*two[0]) == EVERY)
        );
        let words = contests
            .in_words(&object(), *answers.last().unwrap())
            .unwrap();
        assert!(words.contains("only every 30 seconds"), "{words}");
    }

    #[test]
    fn an_object_that_is_made_anew_has_no_fight_of_the_one_before_it() {
        let contests = Contests::default();
        let with_uid = |uid: &str| {
            let mut object = object();
            object.extra.uid = Some(uid.into());
            object
        };
        let (old, new, now) = (with_uid("old"), with_uid("new"), Instant::now());
        let answered = |object| contests.answered(object, &deployment(), Rivalry::Deleted, now);
        (0..ENOUGH).for_each(|_| answered(&old));
        assert!(contests.in_words(&old, now).is_some());
        assert_eq!(contests.in_words(&new, now), None);
        assert_eq!(contests.look(&new, now), None);
        answered(&new);
        assert_eq!(contests.in_words(&new, now), None);
    }

    #[test]
    fn words_change_seldom() {
        let contests = Contests::default();
        let answers = fight(
            &contests,
            Instant::now(),
            Duration::from_millis(500),
            REMEMBERED,
        );
        let again = Contests::default();
        let mut said = BTreeSet::new();
        for answer in &answers {
            again.answered(&object(), &deployment(), downscaler(), *answer);
            said.extend(again.in_words(&object(), *answer));
        }
        assert!(said.len() <= STEPS.len() + 1, "{said:#?}");
    }

    #[test]
    fn a_fight_is_over_when_it_rests_and_a_look_is_due_then() {
        let contests = Contests::default();
        let start = Instant::now();
        let last = *fight(
            &contests,
            start,
            Duration::from_millis(500),
            Duration::from_secs(10),
        )
        .last()
        .unwrap();
        assert_eq!(contests.look(&object(), last), Some(SHORTEST_REST));
        assert!(contests.in_words(&object(), last + SHORTEST_REST).is_none());
        assert_eq!(contests.look(&object(), last + SHORTEST_REST), None);
        // Once more is no fight.
        let later = last + SHORTEST_REST * 2;
        contests.answered(&object(), &deployment(), downscaler(), later);
        assert!(contests.in_words(&object(), later).is_none());
    }

    #[test]
    fn one_that_is_set_back_every_few_minutes_is_a_fight_too() {
        let contests = Contests::default();
        let pause = Duration::from_secs(180);
        let last = *fight(&contests, Instant::now(), pause, pause * 6)
            .last()
            .unwrap();
        assert!(contests.in_words(&object(), last + pause * 2).is_some());
        assert!(contests.in_words(&object(), last + pause * 4).is_none());
    }

    #[test]
    fn a_wish_that_is_new_is_written_at_once_and_is_no_fight() {
        let contests = Contests::default();
        let last = *fight(
            &contests,
            Instant::now(),
            Duration::from_millis(500),
            PATIENCE * 2,
        )
        .last()
        .unwrap();
        assert!(contests.wait(&object(), &deployment(), last).is_some());
        let changed = Child {
            digest: "another".into(),
            ..deployment()
        };
        assert_eq!(contests.wait(&object(), &changed, last), None);
        contests.answered(&object(), &changed, downscaler(), last);
        assert!(contests.in_words(&object(), last).is_none());
    }

    #[test]
    fn what_is_long_past_is_forgotten() {
        let contests = Contests::default();
        let now = Instant::now();
        contests.answered(&object(), &deployment(), downscaler(), now);
        let other = ObjectRef::new("metrics").within("bob");
        contests.answered(&other, &deployment(), downscaler(), now + REMEMBERED);
        assert_eq!(contests.0.lock().objects.len(), 1);
    }

    #[test]
    fn what_several_writers_do_once_in_a_while_is_no_fight() {
        let contests = Contests::default();
        let now = Instant::now();
        for number in 0..ENOUGH {
            let by = vec![format!("person-{number}")];
            let rivalry = Rivalry::Changed { by, fields: vec![] };
            contests.answered(&object(), &deployment(), rivalry, now);
            contests.answered(&object(), &deployment(), Rivalry::Deleted, now);
            let told = contests.in_words(&object(), now).is_some();
            assert_eq!(told, number == ENOUGH - 1, "after {number}");
        }
        let words = contests.in_words(&object(), now).unwrap();
        assert!(words.starts_with("somebody keeps deleting"), "{words}");
    }

    #[test]
    fn who_writes_under_ever_new_names_is_answered_less_often_too() {
        let contests = Contests::default();
        let (start, object, child) = (Instant::now(), object(), deployment());
        let (mut now, mut answers) = (start, 0);
        while now.duration_since(start) < Duration::from_secs(600) {
            now += contests.wait(&object, &child, now).unwrap_or_default();
            let rivalry = Rivalry::Changed {
                by: vec![format!("name-{answers}")],
                fields: vec!["spec.replicas".into()],
            };
            contests.answered(&object, &child, rivalry, now);
            answers += 1;
            now += Duration::from_secs(1);
        }
        assert!(answers < 100, "{answers}");
        assert!(contests.0.lock().contests(&object).count() <= WRITERS + 1);
        let words = contests.in_words(&object, now).unwrap();
        let expected =
            "somebody keeps changing spec.replicas of Deployment pushgateway, at least 50 times";
        assert!(words.starts_with(expected), "{words}");
    }

    fn changed_by(entries: &Value) -> Rivalry {
        let metadata = serde_json::from_value(json!({"managedFields": entries})).unwrap();
        let wanted = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "pushgateway"}},
            "spec": {"replicas": 1, "containers": [{"name": "pushgateway", "image": "i"}], "policies": ["Ingress"]},
        });
        rivalry(&metadata, &wanted)
    }

    #[rstest]
    #[case::scalar(json!({"f:spec": {"f:replicas": {}}}), Some("spec.replicas"))]
    #[case::of_an_item(
        json!({"f:spec": {"f:containers": {"k:{\"name\":\"pushgateway\"}": {".": {}, "f:image": {}}}}}),
        Some("spec.containers[\"pushgateway\"].image")
    )]
    #[case::label(
        json!({"f:metadata": {"f:labels": {"f:app.kubernetes.io/name": {}}}}),
        Some("metadata.labels[app.kubernetes.io/name]")
    )]
    #[case::of_a_set(json!({"f:spec": {"f:policies": {"v:\"Ingress\"": {}}}}), Some("spec.policies"))]
    #[case::what_is_not_wanted(json!({"f:spec": {"f:paused": {}}}), None)]
    fn fields_and_their_writer_are_named(#[case] theirs: Value, #[case] field: Option<&str>) {
        let rivalry = changed_by(&json!([
            {"manager": "simplepipe", "operation": "Update", "fieldsV1": {"f:spec": {"f:selector": {}}}},
            {"manager": "kube-downscaler", "operation": "Update", "fieldsV1": theirs, "time": "2026-01-01T00:00:00Z"},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "time": "2026-01-02T00:00:00Z",
             "fieldsV1": {"f:status": {}}},
        ]));
        let expected = Rivalry::Changed {
            by: field
                .map(|_| "kube-downscaler".into())
                .into_iter()
                .collect(),
            fields: field.map(ToOwned::to_owned).into_iter().collect(),
        };
        assert_eq!(rivalry, expected);
    }

    #[rstest]
    #[case::of_other_settings("0123456789abcdef", &["another Simplepipe operator"])]
    #[case::as_it_was_written("fedcba9876543210", &[])]
    fn an_operator_with_other_settings_is_named(#[case] digest: &str, #[case] by: &[&str]) {
        let annotations = |digest: &str| json!({"annotations": {names::DIGEST_ANNOTATION: digest}});
        let fields = json!({"f:metadata": {"f:annotations": {format!("f:{}", names::DIGEST_ANNOTATION): {}}}});
        let mut metadata = annotations(digest);
        metadata["managedFields"] =
            json!([{"manager": "simplepipe", "operation": "Apply", "fieldsV1": fields}]);
        let wanted = json!({"metadata": annotations("fedcba9876543210")});
        let expected = Rivalry::Changed {
            by: by.iter().map(ToString::to_string).collect(),
            fields: vec![],
        };
        assert_eq!(
            rivalry(&serde_json::from_value(metadata).unwrap(), &wanted),
            expected
        );
    }

    #[test]
    fn a_status_is_fought_over_like_a_child() {
        let contests = Contests::default();
        let (mut now, rivalry) = (Instant::now(), Rivalry::somebody);
        let start = now;
        while now.duration_since(start) < PATIENCE {
            assert_eq!(contests.wait(&object(), Ground::Status, now), None);
            contests.answered(&object(), Ground::Status, rivalry(), now);
            now += Duration::from_secs(1);
        }
        assert_eq!(
            contests.wait(&object(), Ground::Status, now),
            Some(EVERY - Duration::from_secs(1))
        );
        assert_eq!(contests.wait(&object(), &deployment(), now), None);
        let words = contests.in_words(&object(), now).unwrap();
        assert!(
            words.starts_with("somebody keeps changing this status, at least 50 times"),
            "{words}"
        );
    }

    #[test]
    fn a_field_that_is_ours_too_is_not_fought_over() {
        let entry = |manager: &str, time: &str| json!({"manager": manager, "operation": "Apply", "time": time, "fieldsV1": {"f:spec": {"f:replicas": {}}}});
        let both = json!([
            entry("simplepipe", "2026-01-01T00:00:00Z"),
            entry("argocd", "2026-01-01T00:00:00Z")
        ]);
        let Rivalry::Changed { fields, .. } = changed_by(&both) else {
            panic!("deleted")
        };
        assert_eq!(fields, [""; 0]);
    }
}
