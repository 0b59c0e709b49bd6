//! A model test of the commit log: actors whose every object operation is scheduled, with lost answers, crashes and
//! sleeps of days between any two of them. Small worlds are enumerated whole, large ones are drawn from seeds.
//!
//! Checked after every step: the blocks that the log names hold each stored span exactly once and their files exist.
//! At the end: what readers saw was a state of the log, nobody believes in a commit that is not in it, and every record
//! of a writer is stored.

mod actors;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;
use tempo_block::layout::BlockFile;
use tempo_block::log::{Blocks, CommitLog, Fold, Transaction};
use tempo_block::store::Store;
use tempo_model::TenantId;
use tempo_runtime::Environment;
use tokio::task::JoinHandle;
use ulid::Ulid;

pub(crate) use actors::meta;
use actors::{Actor, Ledger, Role};
use world::{ActorStore, Grain, Verdict, World};

/// What happens next.
enum Step {
    Release(usize, Verdict),
    Crash(usize),
    Sleep(Duration),
}

/// Decides what happens next among the actors that wait.
trait Chooser {
    fn choose(&mut self, waiting: &[usize]) -> Step;
}

/// Draws from a seed.
struct Drawn {
    random: StdRng,
    steps: usize,
    /// Of a hundred steps, how many let hours pass.
    sleeps: u32,
    /// Who went last: mostly goes on, so that the others pause for many steps.
    favourite: usize,
}

/// After so many steps nothing bad happens any more, so that everyone gets to an end.
const TROUBLED_STEPS: usize = 600;

impl Chooser for Drawn {
    fn choose(&mut self, waiting: &[usize]) -> Step {
        self.steps += 1;
        if !waiting.contains(&self.favourite) || self.random.random_range(0..100) < 15 {
            self.favourite = waiting[self.random.random_range(0..waiting.len())];
        }
        let actor = self.favourite;
        if self.steps > TROUBLED_STEPS {
            return Step::Release(actor, Verdict::Proceed);
        }
        if self.random.random_range(0..100) < self.sleeps {
            return Step::Sleep(Duration::from_hours(self.random.random_range(1..40)));
        }
        match self.random.random_range(0..100) {
            0..3 => Step::Crash(actor),
            3..7 => Step::Release(actor, Verdict::Refuse),
            7..11 => Step::Release(actor, Verdict::LoseAnswer),
            _ => Step::Release(actor, Verdict::Proceed),
        }
    }
}

/// Follows a given sequence of choices, then always takes the first, and notes how many there were.
#[derive(Default)]
struct Enumerated {
    prefix: Vec<usize>,
    taken: Vec<Taken>,
}

#[derive(Clone, Copy)]
struct Taken {
    choice: usize,
    options: usize,
    lost: bool,
}

impl Enumerated {
    /// The next sequence in lexical order; `None` when all were run.
    fn next(mut self) -> Option<Self> {
        while let Some(last) = self.taken.pop() {
            if last.choice + 1 < last.options {
                let mut prefix: Vec<usize> = self.taken.iter().map(|taken| taken.choice).collect();
                prefix.push(last.choice + 1);
                return Some(Self {
                    prefix,
                    taken: Vec::new(),
                });
            }
        }
        None
    }
}

/// How many answers may be lost in one enumerated run: more of them multiply the runs beyond reason.
const LOST_ANSWERS: usize = 1;

impl Chooser for Enumerated {
    fn choose(&mut self, waiting: &[usize]) -> Step {
        let lost = self.taken.iter().filter(|taken| taken.lost).count();
        // The second half of the options releases the same actors and loses the answer.
        let options = if lost < LOST_ANSWERS {
            waiting.len() * 2
        } else {
            waiting.len()
        };
        let choice = self.prefix.get(self.taken.len()).copied().unwrap_or_default();
        self.taken.push(Taken {
            choice,
            options,
            lost: choice >= waiting.len(),
        });
        let verdict = if choice < waiting.len() {
            Verdict::Proceed
        } else {
            Verdict::LoseAnswer
        };
        Step::Release(waiting[choice % waiting.len()], verdict)
    }
}

struct Model {
    world: Arc<World>,
    ledger: Arc<Mutex<Ledger>>,
    roles: Vec<Role>,
    running: BTreeMap<usize, (Role, JoinHandle<()>)>,
    next_actor: usize,
    seed: u64,
}

impl Model {
    fn new(grain: Grain, seed: u64, roles: Vec<Role>) -> Self {
        let world = World::new(grain);
        Self {
            world,
            ledger: Arc::default(),
            roles,
            running: BTreeMap::new(),
            next_actor: 0,
            seed,
        }
    }

    fn actor(&mut self, role: Role) -> (usize, Actor) {
        let number = self.next_actor;
        self.next_actor += 1;
        let env = Environment::simulated(self.seed * 1000 + number as u64, 1_700_000_000_000_000_000);
        let store: Store = Arc::new(ActorStore {
            world: Arc::clone(&self.world),
            actor: number,
        });
        (
            number,
            Actor {
                env,
                store,
                role,
                ledger: Arc::clone(&self.ledger),
            },
        )
    }

    fn start(&mut self, role: Role, opened: Option<(usize, Actor, CommitLog)>) {
        let (number, actor, log) = if let Some((number, actor, log)) = opened {
            (number, actor, Some(log))
        } else {
            let (number, actor) = self.actor(role.clone());
            (number, actor, None)
        };
        let world = Arc::clone(&self.world);
        let task = tokio::spawn(async move {
            actor.run(log).await;
            world.changed.notify_one();
        });
        self.running.insert(number, (role, task));
    }

    async fn run(&mut self, chooser: &mut dyn Chooser) {
        let mut opened = Vec::new();
        for role in self.roles.clone() {
            let (number, actor) = self.actor(role.clone());
            let log = CommitLog::open(&actor.env, &actor.store, &TenantId::single())
                .await
                .unwrap();
            opened.push((role, (number, actor, log)));
        }
        self.world.close_gates();
        for (role, opened) in opened {
            self.start(role, Some(opened));
        }
        loop {
            self.settle().await;
            if self.running.is_empty() {
                break;
            }
            self.check_log().await;
            match chooser.choose(&self.world.waiting()) {
                Step::Release(actor, verdict) => self.world.release(actor, verdict),
                Step::Sleep(duration) => tokio::time::advance(duration).await,
                Step::Crash(actor) => {
                    if let Some((role, task)) = self.running.remove(&actor) {
                        task.abort();
                        self.world.forget_gate(actor);
                        self.start(role, None);
                    }
                }
            }
        }
        self.check_end();
    }

    /// Waits until every actor has come to a gate or to its end. Pauses of actors pass meanwhile, as time is simulated.
    async fn settle(&mut self) {
        loop {
            let ended: Vec<usize> = self
                .running
                .iter()
                .filter(|(_, (_, task))| task.is_finished())
                .map(|(actor, _)| *actor)
                .collect();
            for actor in ended {
                let (_, task) = self.running.remove(&actor).unwrap();
                task.await.expect("an actor panicked");
            }
            if self.world.waiting().len() == self.running.len() {
                return;
            }
            // A task counts as finished a moment after it has said so.
            tokio::select! {
                () = self.world.changed.notified() => tokio::task::yield_now().await,
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
    }

    /// The states of the log by position, from what was ever committed.
    fn states(&self) -> Vec<(Blocks, Transaction)> {
        #[derive(Deserialize)]
        struct Envelope {
            body: Body,
        }
        #[derive(Deserialize)]
        struct Body {
            change: Transaction,
        }
        let mut state = Blocks::default();
        let history = self.world.history.lock();
        let mut states = vec![(state.clone(), Transaction::default())];
        for (index, (number, bytes)) in history.iter().enumerate() {
            assert_eq!(*number, index as u64 + 1, "the log has no holes");
            let change = serde_json::from_slice::<Envelope>(bytes).unwrap().body.change;
            state
                .check(&change)
                .unwrap_or_else(|refusal| panic!("entry {number} contradicts the log: {refusal}"));
            state.apply(*number, &change);
            states.push((state.clone(), change));
        }
        states
    }

    async fn check_log(&self) {
        let states = self.states();
        let (newest, _) = states.last().unwrap();
        self.check_spans(newest);
        for meta in newest.live() {
            for file in BlockFile::ALL {
                let path = file.path(&TenantId::single(), meta.id);
                assert!(self.world.exists(&path).await, "a live block lost {path}");
            }
        }
    }

    /// Each stored record is in the live blocks, once.
    fn check_spans(&self, state: &Blocks) {
        let ledger = self.ledger.lock();
        let mut found: BTreeMap<Ulid, Vec<u64>> = BTreeMap::new();
        for (stream, number) in state.live().flat_map(|meta| &ledger.contents[&meta.id]) {
            found.entry(*stream).or_default().push(*number);
        }
        for (stream, numbers) in &mut found {
            numbers.sort_unstable();
            let covered: Vec<u64> = state.covered(*stream).unwrap().iter().flatten().collect();
            assert_eq!(*numbers, covered, "stored spans and covered records differ");
        }
    }

    fn check_end(&self) {
        let states = self.states();
        let ledger = self.ledger.lock();
        for (transaction, position) in &ledger.believed {
            let id = transaction.add[0].id;
            let entry = states
                .iter()
                .position(|(_, change)| change.add.iter().any(|meta| meta.id == id));
            let entry = entry.unwrap_or_else(|| panic!("block {id} was believed to be committed"));
            assert!(
                entry as u64 <= *position,
                "answered with {position}, is in entry {entry}"
            );
        }
        for snapshot in &ledger.seen {
            let (state, _) = &states[snapshot.position as usize];
            assert!(
                state.live().eq(snapshot.state.live()),
                "a reader saw what the log never said"
            );
        }
        let (last, _) = states.last().unwrap();
        for role in &self.roles {
            if let Role::Writer { stream, records, .. } = role {
                assert!(
                    last.covered(*stream)
                        .is_some_and(|stored| stored.covers(records.clone())),
                    "records were lost"
                );
            }
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

fn writer(stream: u128, end: u64, batch: u64) -> Role {
    Role::Writer {
        stream: Ulid(stream),
        records: 0..end,
        batch,
    }
}

/// Runs every interleaving of the roles at log entries, each with up to one lost answer. Returns how many there were.
fn enumerate(roles: &[Role]) -> usize {
    let mut runs = 0;
    let mut next = Some(Enumerated::default());
    while let Some(mut chooser) = next {
        runs += 1;
        runtime().block_on(Model::new(Grain::LogEntries, 1, roles.to_vec()).run(&mut chooser));
        next = chooser.next();
    }
    runs
}

#[test]
fn two_owners_of_one_stream_store_it_once_in_every_order() {
    let runs = enumerate(&[writer(1, 1, 1), writer(1, 1, 1)]);
    assert!(runs > 10, "only {runs} interleavings");
}

#[test]
fn a_writer_a_compactor_and_a_reader_agree_in_every_order() {
    let runs = enumerate(&[
        writer(1, 2, 1),
        Role::Compactor { rounds: 1 },
        Role::Reader { rounds: 1 },
    ]);
    assert!(runs > 100, "only {runs} interleavings");
}

/// Runs drawn schedules of the roles; `TEMPO_MODEL_SEEDS` asks for more of them than `seeds`.
fn draw(seeds: u64, sleeps: u32, roles: &[Role]) {
    let seeds = std::env::var("TEMPO_MODEL_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(seeds);
    for seed in 0..seeds {
        let mut chooser = Drawn {
            random: StdRng::seed_from_u64(seed),
            steps: 0,
            sleeps,
            favourite: 0,
        };
        let run = std::panic::AssertUnwindSafe(|| {
            runtime().block_on(Model::new(Grain::Every, seed, roles.to_vec()).run(&mut chooser));
        });
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("seed {seed} failed");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn seeds_of_a_busy_world_hold() {
    let roles = [
        writer(1, 6, 2),
        writer(1, 6, 3),
        writer(2, 4, 1),
        Role::Compactor { rounds: 3 },
        Role::Compactor { rounds: 3 },
        Role::Reader { rounds: 6 },
        Role::Janitor { rounds: 4 },
    ];
    draw(100, 3, &roles);
}

#[test]
fn seeds_of_a_sleepy_world_hold() {
    draw(
        300,
        12,
        &[
            writer(1, 3, 1),
            Role::Janitor { rounds: 8 },
            Role::Reader { rounds: 3 },
        ],
    );
}
