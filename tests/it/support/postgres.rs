//! PostgreSQL for tests: a database on the server that `make test` starts, or a server of one's own.
//!
//! A test that stops the server uses a [`Server`]; every other one a [`Database`].

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::NoTls;

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A database that holds nothing yet. It is gone when this is dropped, whoever is connected.
pub(crate) struct Database {
    pub(crate) url: String,
    server: String,
    name: String,
}

impl Database {
    /// An empty database on the server that `DATABASE_URL` names.
    pub(crate) async fn new() -> Self {
        let Ok(server) = std::env::var("DATABASE_URL") else {
            panic!("DATABASE_URL is not set: `make test` starts a server and sets it");
        };
        let count = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("flexcast_test_{}_{count}", std::process::id());
        run(
            &server,
            &format!("CREATE DATABASE {name} TEMPLATE template0"),
        )
        .await;
        let (place, options) = match server.split_once('?') {
            Some((place, options)) => (place, format!("?{options}")),
            None => (server.as_str(), String::new()),
        };
        let (place, _) = place.rsplit_once('/').expect("a database in DATABASE_URL");
        let url = format!("{place}/{name}{options}");
        Self { url, server, name }
    }

    /// Cuts all sessions, and has new ones read only, or write again.
    pub(crate) async fn read_only(&self, on: bool) {
        let name = &self.name;
        let setting = if on { "on" } else { "DEFAULT" };
        let set = format!("ALTER DATABASE {name} SET default_transaction_read_only TO {setting}");
        run(&self.server, &set).await;
        if on {
            let cut = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            );
            run(&self.server, &cut).await;
        }
    }

    /// A role that may log in and has the rights of a consumer, no more.
    pub(crate) async fn consumers_role(&self) -> Role {
        let count = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("flexcast_role_{}_{count}", std::process::id());
        let login = format!("CREATE ROLE {name} LOGIN PASSWORD 'flexcast-test-role'");
        self.raw(&format!("{login}; {}", consumers_grants(&name)))
            .await;
        let (_, place) = self.url.rsplit_once('@').expect("a login");
        Role {
            url: format!("postgres://{name}:flexcast-test-role@{place}"),
            database: self.url.clone(),
            name,
        }
    }

    /// The database as a vandal sees it.
    pub(crate) async fn raw(&self, sql: &str) {
        run(&self.url, sql).await;
    }

    /// A session that lasts until it is dropped.
    pub(crate) async fn session(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls)
            .await
            .expect("a connection");
        tokio::spawn(connection);
        client
    }
}

/// A role. It is gone when this is dropped, which has to be before its database is.
pub(crate) struct Role {
    pub(crate) url: String,
    pub(crate) name: String,
    database: String,
}

impl Drop for Role {
    fn drop(&mut self) {
        let name = &self.name;
        let sql = format!("DROP OWNED BY {name}; DROP ROLE {name}");
        run_apart(&self.database, sql);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        run_apart(&self.server, sql);
    }
}

/// What `docs/postgresql.md` has a consumer's role granted, for this role.
pub(crate) fn consumers_grants(role: &str) -> String {
    let document = include_str!("../../../docs/postgresql.md");
    let blocks = document.split("```sql\n").skip(1);
    let mut blocks = blocks.filter_map(|rest| Some(rest.split_once("```")?.0));
    let grants = blocks.find(|block| block.contains("ON migrations"));
    let grants = grants.expect("the rights of a consumer").to_owned();
    grants.replace("flexcast_consumer", role)
}

/// The same, right by right and table by table.
pub(crate) fn consumers_rights() -> Vec<(String, String)> {
    let mut rights = Vec::new();
    for grant in consumers_grants("role").split(';') {
        let grant = grant.trim().strip_prefix("GRANT ").unwrap_or_default();
        let grant = grant.strip_suffix(" TO role").unwrap_or_default();
        let Some((of, on)) = grant.split_once(" ON ").filter(|(of, _)| *of != "USAGE") else {
            continue;
        };
        for right in of.split(", ") {
            let on = on.split(',').map(str::trim);
            rights.extend(on.map(|table| (right.to_owned(), table.to_owned())));
        }
    }
    rights
}

/// Runs a statement on a runtime of its own: a drop, for one, cannot wait on the test's.
fn run_apart(server: &str, sql: String) {
    let server = server.to_owned();
    let running = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(run(&server, &sql));
    });
    running.join().expect("it is done");
}

async fn run(url: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("a connection to the server of DATABASE_URL");
    let connection = tokio::spawn(connection);
    client.batch_execute(sql).await.expect("it is done");
    drop(client);
    connection.await.expect("no panic").expect("a clean end");
}

/// A server of the test's own, gone when this is dropped.
pub(crate) struct Server {
    dir: tempfile::TempDir,
    pub(crate) url: String,
}

impl Server {
    /// Starts a server and waits until it answers.
    pub(crate) fn start() -> Self {
        Self::made(|dir| script_of("start", dir, &[]))
    }

    fn made(make: impl Fn(&Path)) -> Self {
        // Under the directory of `make test`, if there is one: it stops what a killed test leaves.
        let home = std::env::var_os("FLEXCAST_TEST_DIR").unwrap_or_else(|| "/tmp".into());
        let dir = tempfile::Builder::new()
            .prefix("flexcast-postgres-")
            .tempdir_in(home)
            .expect("a directory");
        make(dir.path());
        let env = std::fs::read_to_string(dir.path().join("env")).expect("the server's env");
        let url = env
            .lines()
            .find_map(|line| line.strip_prefix("export DATABASE_URL="))
            .expect("DATABASE_URL in the server's env")
            .to_owned();
        Self { dir, url }
    }

    /// A standby of it, which has written all that it commits from now on.
    pub(crate) fn standby(&self) -> Self {
        Self::made(|dir| script_of("standby", dir, &[self.dir.path()]))
    }

    /// Makes this standby the primary.
    pub(crate) fn promote(&self) {
        script("promote", self.dir.path());
    }

    /// Has this standby receive nothing more of what its primary commits, which does not wait for it any more.
    pub(crate) fn falls_behind(&self, primary: &Self) {
        let reload = "SELECT pg_reload_conf()";
        // A server reads its settings some time after it is asked to.
        let until_apart = "DO $$ BEGIN
                WHILE EXISTS (SELECT FROM pg_stat_wal_receiver) LOOP PERFORM pg_sleep(0.01); END LOOP;
            END $$";
        for (server, sql) in [
            (primary, "ALTER SYSTEM SET synchronous_standby_names = ''"),
            (primary, reload),
            (self, "ALTER SYSTEM SET primary_conninfo = ''"),
            (self, reload),
            (self, until_apart),
        ] {
            run_apart(&server.url, sql.to_owned());
        }
    }

    /// Stops it as for maintenance: its standby has received everything by then.
    pub(crate) fn stop(&self) {
        script("stop", self.dir.path());
    }

    /// Kills it: connections are cut, what was committed stays.
    pub(crate) fn kill(&self) {
        script("kill", self.dir.path());
    }

    /// Starts it again after [`Server::kill`].
    pub(crate) fn restart(&self) {
        script("start", self.dir.path());
    }

    /// Its certificate, as a file.
    pub(crate) fn certificate(&self) -> String {
        self.dir.path().join("server.crt").display().to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        run_script("stop", self.dir.path(), &[]);
    }
}

fn script(command: &str, dir: &Path) {
    script_of(command, dir, &[]);
}

fn script_of(command: &str, dir: &Path, more: &[&Path]) {
    let output = run_script(command, dir, more);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "postgres.sh {command}: {told}");
}

fn run_script(command: &str, dir: &Path, more: &[&Path]) -> Output {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres.sh"))
        .arg(command)
        .arg(dir)
        .args(more)
        .output()
        .expect("scripts/postgres.sh runs")
}
