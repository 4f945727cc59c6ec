//! The life of one request: it is read, limited, hit by faults, carried out and answered.
//!
//! Order: credentials, limits and faults are checked when the request has been read; then the latency passes; then
//! the effect happens; then the reply is sent, or lost.

use std::sync::Weak;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response};
use secrecy::ExposeSecret as _;

use super::call::Call;
use super::form::Parameters;
use super::record::RecordedRequest;
use super::reply::{ErrorReply, Reply, ReplyResult};
use super::router::{self, RouteMatch};
use crate::simulator::faults::{Fate, FaultKind, FaultSubject, Rule, When};
use crate::simulator::people::customers;
use crate::simulator::{RequestRecord, Simulator, State};

/// The connection ends without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::simulator) enum Cut {
    #[error("reset by a fault")]
    Reset,
    #[error("closed by a fault")]
    Closed,
}

/// A request that has been read.
struct Exchange {
    target: RouteMatch,
    method: String,
    query: Parameters,
    form: Parameters,
    /// Its index in the list of requests.
    number: usize,
}

impl Simulator {
    /// Carries out one request and returns its reply. `listening` is dropped when the client closes its connection.
    pub(in crate::simulator) async fn carry_out(
        &self,
        request: Request<Bytes>,
        listening: &Weak<()>,
    ) -> Result<Response<Bytes>, Cut> {
        if request.uri().path().starts_with("/_simulator/") {
            return Ok(self.own(&request));
        }
        let (exchange, fate) = match self.read(&request) {
            Ok(read) => read,
            Err(reply) => return Ok(response(&reply)),
        };
        let began = self.inner.clock.instant();
        let latency = self.inner.settings.latency + Duration::from_millis(fate.before_ms);
        self.wait(latency).await;
        let mut end = self.finish(&exchange, &fate).await;
        let mut state = self.state();
        state.requests[exchange.number].client_left = listening.strong_count() == 0;
        if let Ok(reply) = &mut end {
            state.requests[exchange.number].status = Some(reply.status);
            // The two headers that Twilio's pages on 20429 and 45780 recommend to watch.
            let open = state.windows.open().to_string();
            let took = format!("{:.3}", began.elapsed().as_secs_f64());
            reply.headers.push(("twilio-concurrent-requests", open));
            reply.headers.push(("twilio-request-duration", took));
        }
        state.windows.closed();
        drop(state);
        end.map(|reply| response(&reply))
    }

    /// Makes all decisions that depend only on the request: its route, credentials, limits and faults.
    fn read(&self, request: &Request<Bytes>) -> Result<(Exchange, Fate), Reply> {
        let settings = &self.inner.settings;
        let now = self.inner.clock.now();
        let found = router::find(
            request.method().as_str(),
            request.uri(),
            &host(request),
            settings.public_url.as_deref(),
        );
        let mut state = self.state();
        state.world.advance(now);
        let number = state.requests.len();
        state.requests.push(RequestRecord {
            time: now,
            operation: found.as_ref().map_or("unknown", |t| t.route.operation),
            status: None,
            client_left: false,
        });
        let refused = |state: &mut State, refusal: ErrorReply| {
            state.requests[number].status = Some(refusal.status);
            Err(Reply::from(refusal))
        };
        if !self.is_authentic(request) {
            let refusal = ErrorReply::new(401, 20003, "Authenticate");
            let mut reply = Reply::from(refusal);
            let realm = "Basic realm=\"Twilio API\"".to_owned();
            reply.headers.push((WWW_AUTHENTICATE.as_str(), realm));
            state.requests[number].status = Some(401);
            return Err(reply);
        }
        let target = match found {
            Ok(target) => target,
            Err(nowhere) => return refused(&mut state, ErrorReply::not_found(&nowhere.0)),
        };
        let exchange = Exchange {
            query: Parameters::parse(request.uri().query().unwrap_or_default().as_bytes()),
            form: Parameters::parse(request.body()),
            method: request.method().to_string(),
            target,
            number,
        };
        let (operation, product) = (exchange.target.route.operation, exchange.target.product);
        let instant = self.inner.clock.instant();
        let taken = state.windows.take(
            &settings.limits,
            operation,
            product,
            &exchange.target.path,
            instant,
        );
        if let Err(code) = taken {
            state.requests[number].status = Some(429);
            return Err(too_many(code, settings.assumptions.retry_after_secs));
        }
        state.windows.opened();
        let customer = customers::concerned(&state.world, &exchange.target.path, &exchange.form);
        let fate = state.dice.fate(FaultSubject {
            operation: exchange.target.route.operation,
            changing: exchange.method != "GET",
            customer: customer.as_deref(),
        });
        Ok((exchange, fate))
    }

    async fn finish(&self, exchange: &Exchange, fate: &Fate) -> Result<Reply, Cut> {
        let fault = fate.fault.as_ref();
        if let Some(rule) = fault
            && rule.kind != FaultKind::SetupFailure
            && rule.falls() == When::Before
        {
            if rule.kind == FaultKind::LateEffect {
                self.wait(Duration::from_millis(rule.ms.unwrap_or(0))).await;
                self.answer(exchange, None);
                return Err(Cut::Closed);
            }
            return self.instead(rule).await;
        }
        let setup_failure = fault
            .filter(|rule| rule.kind == FaultKind::SetupFailure)
            // 19025 is the code of a failed channel in the OpenAPI's example.
            .map(|rule| rule.code.unwrap_or(19025));
        let reply = self.answer(exchange, setup_failure);
        self.wait(Duration::from_millis(fate.after_ms)).await;
        match fault {
            Some(rule) if setup_failure.is_none() => self.instead(rule).await,
            _ => Ok(reply),
        }
    }

    /// The reply, or the end of the connection, that a fault causes.
    async fn instead(&self, rule: &Rule) -> Result<Reply, Cut> {
        let refusal = match rule.kind {
            FaultKind::Reset => return Err(Cut::Reset),
            FaultKind::LostReply => {
                self.wait(Duration::from_millis(rule.ms.unwrap_or(0))).await;
                return Err(Cut::Closed);
            }
            FaultKind::TooManyRequests => {
                let after = self.inner.settings.assumptions.retry_after_secs;
                return Ok(too_many(
                    rule.code.unwrap_or(20429),
                    rule.retry_after.or(after),
                ));
            }
            FaultKind::ServerError => {
                let status = rule.status.unwrap_or(500);
                let code = if status == 503 { 20503 } else { 20500 };
                ErrorReply::new(status, rule.code.unwrap_or(code), "An internal error")
            }
            _ => ErrorReply::new(
                rule.status.unwrap_or(400),
                rule.code.unwrap_or(20001),
                "A fault of the simulator",
            ),
        };
        Ok(Reply::from(refusal))
    }

    /// Carries out the effect of the request.
    fn answer(&self, exchange: &Exchange, setup_failure: Option<u32>) -> Reply {
        let now = self.inner.clock.now();
        let mut state = self.state();
        state.world.advance(now);
        let target = &exchange.target;
        let answer: ReplyResult = (target.route.answer)(&mut Call {
            world: &mut state.world,
            now,
            path: &target.path,
            query: &exchange.query,
            form: &exchange.form,
            base: &target.base,
            setup_failure,
        });
        let reply = answer.unwrap_or_else(Reply::from);
        state.world.advance(now);
        if let Some(recorder) = &mut state.recorder {
            let asked = RecordedRequest {
                product: target.product,
                method: &exchange.method,
                path: filled(target.route.path, &target.path),
                query: &exchange.query,
                form: &exchange.form,
            };
            recorder.write(&asked, &reply);
        }
        reply
    }

    fn is_authentic(&self, request: &Request<Bytes>) -> bool {
        let settings = &self.inner.settings;
        let given = request.headers().get(AUTHORIZATION);
        let Some(text) = given.and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let Some((_, encoded)) = text.split_once(' ') else {
            return false;
        };
        let Some(decoded) = BASE64_STANDARD
            .decode(encoded.trim())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
        else {
            return false;
        };
        let Some((user, password)) = decoded.split_once(':') else {
            return false;
        };
        let account = (&settings.account_sid, &settings.auth_token);
        let keys = settings.api_keys.iter().map(|(key, secret)| (key, secret));
        std::iter::once(account)
            .chain(keys)
            .any(|(name, secret)| user == name && password == secret.expose_secret())
    }

    async fn wait(&self, wait: Duration) {
        if !wait.is_zero() {
            self.inner.clock.sleep(wait).await;
        }
    }
}

/// Replaces the braces of a template with the parameters.
fn filled(template: &str, params: &[String]) -> String {
    let mut params = params.iter();
    let parts = template.split('/').map(|part| {
        if part.starts_with('{') {
            params.next().map_or("", String::as_str)
        } else {
            part
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

fn host(request: &Request<Bytes>) -> String {
    let named = request.headers().get(HOST);
    named
        .and_then(|value| value.to_str().ok())
        .or_else(|| request.uri().authority().map(http::uri::Authority::as_str))
        .unwrap_or("localhost")
        .to_owned()
}

fn too_many(code: u32, retry_after_secs: Option<u32>) -> Reply {
    let mut reply = Reply::from(ErrorReply::new(429, code, "Too Many Requests"));
    if let Some(secs) = retry_after_secs {
        reply.headers.push((RETRY_AFTER.as_str(), secs.to_string()));
    }
    reply
}

/// The reply as an HTTP response.
pub(in crate::simulator) fn response(reply: &Reply) -> Response<Bytes> {
    let body = reply.body.as_ref().map(ToString::to_string);
    let mut response = Response::new(Bytes::from(body.unwrap_or_default()));
    *response.status_mut() =
        http::StatusCode::from_u16(reply.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if reply.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &reply.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(*name, value);
        }
    }
    response
}
