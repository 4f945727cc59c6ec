//! `PgBouncer` before a database.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use super::waiting::eventually;

/// A pooler that takes connections to one database, until it is dropped.
pub(crate) struct Pooler {
    server: Child,
    pub(crate) url: String,
    _dir: tempfile::TempDir,
}

impl Pooler {
    /// Starts one before the database at `url`. `mode`: session, transaction or statement.
    pub(crate) fn before(url: &str, mode: &str) -> Self {
        let config: tokio_postgres::Config = url.parse().expect("a database");
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let user = config.get_user().unwrap_or("postgres");
        let password = config.get_password().unwrap_or_default();
        let password = String::from_utf8_lossy(password);
        let name = config.get_dbname().expect("a database in DATABASE_URL");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let at = listener.local_addr().expect("its address").port();
        drop(listener);
        let dir = tempfile::tempdir().expect("a directory");
        let users = dir.path().join("users.txt");
        std::fs::write(&users, format!("\"{user}\" \"\"\n")).expect("the users");
        let settings = format!(
            "[databases]\n{name} = host=127.0.0.1 port={port} user={user} password={password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {at}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\ndefault_pool_size = 20\n",
            users.display()
        );
        let file = dir.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).expect("the settings");
        let mut command = Command::new("pgbouncer");
        // It refuses to run as root, as PostgreSQL does.
        let id = Command::new("id").arg("-u").output().expect("id");
        let is_root = id.stdout.trim_ascii() == b"0";
        if is_root {
            let open = ["a+rx".as_ref(), dir.path().as_os_str()];
            let opened = Command::new("chmod").args(open).status();
            assert!(opened.expect("chmod").success());
            command.args(["--user", "nobody"]);
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let server = command
            .env("PATH", format!("{path}:/usr/sbin"))
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbouncer: run scripts/install-test-deps.sh");
        eventually("the pooler to answer", || {
            std::net::TcpStream::connect(("127.0.0.1", at)).ok()
        });
        let url = format!("postgres://{user}@127.0.0.1:{at}/{name}");
        Self {
            server,
            url,
            _dir: dir,
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
