#![allow(clippy::all, missing_docs)]
use posthaste_dispatcher::{Settings, egress::*, run};
use posthaste_engine::{
    endpoint::{self, SealedSecret},
    migrate,
    session::{Role, Session},
};
use posthaste_protocol::{endpoint::EndpointSpec, seal::SealKeys};
use posthaste_service::{health::Health, shutdown::Shutdown, telemetry::metrics::Registry, tls};
use std::time::{Duration, Instant};
fn cpu(pid: u32) -> f64 {
    let s = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let r: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    if r.len() < 14 {
        return 0.0;
    }
    (r[11].parse::<f64>().unwrap()
        + r[12].parse::<f64>().unwrap()
        + r[13].parse::<f64>().unwrap()
        + r[14].parse::<f64>().unwrap())
        * 10000.0
}
fn pgcpu() -> f64 {
    let mut t = 0.0;
    for e in std::fs::read_dir("/proc").unwrap() {
        let e = e.unwrap();
        let n = e.file_name();
        let n = n.to_string_lossy();
        if let Ok(p) = n.parse::<u32>() {
            if let Ok(c) = std::fs::read_to_string(format!("/proc/{p}/cmdline")) {
                if c.contains("postgres") {
                    let s = std::fs::read_to_string(format!("/proc/{p}/stat")).unwrap_or_default();
                    let r: Vec<&str> = s.rsplit(')').next().unwrap_or("").split_whitespace().collect();
                    if r.len() > 14 {
                        t += (r[11].parse::<f64>().unwrap() + r[12].parse::<f64>().unwrap()) * 10000.0;
                    }
                }
            }
        }
    }
    t
}
#[tokio::main]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    tls::install_crypto_provider();
    if a[1] == "endpoint" {
        let l = tokio::net::TcpListener::bind("127.0.0.1:9555").await.unwrap();
        loop {
            let (s, _) = l.accept().await.unwrap();
            s.set_nodelay(true).ok();
            tokio::spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(
                        hyper_util::rt::TokioIo::new(s),
                        hyper::service::service_fn(|r: hyper::Request<hyper::body::Incoming>| async move {
                            use http_body_util::BodyExt;
                            let _ = r.into_body().collect().await;
                            Ok::<_, std::convert::Infallible>(
                                hyper::Response::builder()
                                    .header("content-type", "application/json")
                                    .body(http_body_util::Full::new(bytes::Bytes::from_static(b"{\"ok\":true}")))
                                    .unwrap(),
                            )
                        }),
                    )
                    .await;
            });
        }
    }
    if a[1] == "bare" {
        let n: usize = a[2].parse().unwrap();
        let client = Client::new(EgressPolicy::from_entries(["127.0.0.0/8"]).unwrap(), &ClientOptions::default());
        let left = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(n));
        let t = Instant::now();
        let mut hs = vec![];
        for _ in 0..64 {
            let c = client.clone();
            let left = left.clone();
            hs.push(tokio::spawn(async move {
                let body = bytes::Bytes::from(vec![b'1'; 300]);
                loop {
                    if left
                        .fetch_update(std::sync::atomic::Ordering::Relaxed, std::sync::atomic::Ordering::Relaxed, |x| {
                            x.checked_sub(1)
                        })
                        .is_err()
                    {
                        break;
                    }
                    c.post(
                        "http://127.0.0.1:9555/".parse().unwrap(),
                        http::HeaderMap::new(),
                        body.clone(),
                        tokio::time::Instant::now() + Duration::from_secs(30),
                        1 << 20,
                    )
                    .await
                    .unwrap();
                }
            }));
        }
        for h in hs {
            h.await.unwrap();
        }
        let e = t.elapsed().as_secs_f64();
        println!("bare {:.0}/s cpu {:.1} us", n as f64 / e, cpu(std::process::id()) / n as f64);
        return;
    }
    let n: i64 = a[2].parse().unwrap();
    let url = "postgres:///d?host=/tmp/pgx&user=postgres".to_string();
    let mut s = Session::new(&url, Role::General).unwrap();
    let keys = || SealKeys::parse(&format!("1:{}", "ab".repeat(32))).unwrap();
    s.call(async |c| { migrate::migrate(c).await?; 
        let spec = EndpointSpec::parse(r#"{"url":"http://127.0.0.1:9555/","kinds":["email"],"concurrency":1000}"#).unwrap();
        let sealed = keys().seal(br#"[{"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","until":null}]"#, "e", [7;24]).unwrap();
        endpoint::put(c, "e", &serde_json::to_string(&spec).unwrap(), &spec.kinds, SealedSecret::Replace(&sealed)).await?;
        for _ in 0..n/500 { sqlx::query("select count(*) from posthaste.enqueue_many((select jsonb_agg(json_build_object('kind','email','args',json_build_object('to','someone@example.com','subject',repeat('x',230),'n',i))) from generate_series(1,500) i))").execute(&mut *c).await?; }
        sqlx::query("checkpoint").execute(&mut *c).await?;
        Ok(()) }).await.unwrap();
    let ep = a[3].parse::<u32>().unwrap();
    let (p0, e0, m0) = (pgcpu(), cpu(ep), cpu(std::process::id()));
    let wal = |s: &mut Session| {};
    let (x0, w0): (i64, String) = s
        .call(async |c| {
            let r = sqlx::query_as(
                "select xact_commit, pg_current_wal_lsn()::text from pg_stat_database where datname='d'",
            )
            .fetch_one(c)
            .await?;
            Ok(r)
        })
        .await
        .unwrap();
    let t = Instant::now();
    let (reg, shutdown) = (Registry::new(), Shutdown::new());
    let (r2, s2, u2) = (reg.clone(), shutdown.clone(), url.clone());
    let h = tokio::spawn(async move {
        run(
            Settings {
                database_url: u2.clone(),
                listen_url: u2,
                concurrency: 512,
                egress: EgressPolicy::from_entries(["127.0.0.0/8"]).unwrap(),
                seal_keys: Some(keys()),
            },
            &r2,
            &Health::new(),
            s2,
        )
        .await
    });
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let text = reg.render();
        let done: f64 = text
            .lines()
            .filter(|l| l.starts_with("posthaste_outcomes_total"))
            .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
            .sum();
        if done as i64 >= n {
            break;
        }
    }
    let e = t.elapsed().as_secs_f64();
    let nn = n as f64;
    println!(
        "drain {:.0}/s  pg {:.1} disp {:.1} ep {:.1} us",
        nn / e,
        (pgcpu() - p0) / nn,
        (cpu(std::process::id()) - m0) / nn,
        (cpu(ep) - e0) / nn
    );
    let (x1, w): (i64, i64) = s.call(async |c| { let r = sqlx::query_as("select xact_commit, (pg_current_wal_lsn() - $1::pg_lsn)::bigint from pg_stat_database where datname='d'").bind(&w0).fetch_one(c).await?; Ok(r) }).await.unwrap();
    println!("commits/job {:.4} wal/job {:.0}", (x1 - x0) as f64 / nn, w as f64 / nn);
    for l in
        reg.render().lines().filter(|l| l.contains("_sum") || l.contains("_count") || l.contains("statements_total"))
    {
        println!("{l}");
    }
    shutdown.begin();
    h.await.unwrap().unwrap();
}
