//! The client: one function makes every call.
//!
//! In: an operation, the parameters of its path, its form. Out: the typed reply, or a [`CallError`]. Always: the call
//! passes the gate before its bytes leave, and holds its pass until the reply has arrived; it is made once; no log
//! line has credentials, numbers or addresses.

pub(super) mod operation;
pub(super) mod form;
pub(super) mod credentials;
pub(super) mod base;
pub(super) mod settings;
pub(super) mod transport;
pub(super) mod gate;
pub(super) mod observer;
pub(super) mod paging;
pub(super) mod patience;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::Instant;

use self::base::filled;
use self::gate::{Gate, KEPT_BACK, Observed, Open};
use self::observer::{Answer, CallObserver, Heard};
use self::patience::{Patience, may_repeat, patiently};
use self::settings::ClientSettings;
use self::transport::{NoReply, Transport};
use super::codes::is_missing;
use super::outages::Outages;
use super::{BaseUrl, CallError, Closed, Form, Method, Operation, Product};

/// Makes Chat and Conversations call their webhooks for a change by REST.
const WEBHOOK_HEADER: &str = "X-Twilio-Webhook-Enabled";

/// The Twilio client. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Twilio {
    settings: Arc<ClientSettings>,
    transport: Transport,
    gate: Arc<dyn Gate>,
    outages: Arc<Outages>,
    observer: Option<Arc<dyn CallObserver>>,
    patience: Option<Patience>,
}

/// A request before it is encoded for a transport.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) operation: Operation,
    /// The absolute URL, with its query.
    pub(super) url: String,
    pub(super) form: Form,
    pub(super) webhooks: bool,
}

impl Twilio {
    /// Creates a client whose calls leave at once.
    #[must_use]
    pub fn new(settings: ClientSettings, transport: Transport) -> Self {
        Self {
            settings: Arc::new(settings),
            transport,
            gate: Arc::new(Open),
            outages: Arc::default(),
            observer: None,
            patience: None,
        }
    }

    /// The same client, with all calls passing `gate`.
    #[must_use]
    pub fn gated(&self, gate: Arc<dyn Gate>) -> Self {
        Self {
            gate,
            ..self.clone()
        }
    }

    /// The parts of Twilio that are away, as found by this client and its clones.
    #[must_use]
    pub fn outages(&self) -> &Arc<Outages> {
        &self.outages
    }

    /// The same client, which shares `outages` with other clients.
    #[must_use]
    pub fn with_outages(&self, outages: Arc<Outages>) -> Self {
        Self {
            outages,
            ..self.clone()
        }
    }

    /// The same client, with `observer` called after every call.
    #[must_use]
    pub fn observed(&self, observer: Arc<dyn CallObserver>) -> Self {
        Self {
            observer: Some(observer),
            ..self.clone()
        }
    }

    /// The same client for the calls of a command, which are not repeated by a message's retries. It repeats a call
    /// that Twilio did not process or did not answer, if the repetition cannot double an effect. It has its own
    /// record of outages.
    #[must_use]
    pub fn patient(&self, patience: Patience) -> Self {
        Self {
            patience: Some(patience),
            outages: Arc::default(),
            ..self.clone()
        }
    }

    /// Waits until Twilio's lists certainly show the effect of a call that was just made. A client without patience
    /// does not wait.
    pub(crate) async fn settled(&self) {
        if let Some(patience) = self.patience {
            tokio::time::sleep(patience.settle_time).await;
        }
    }

    /// The SID of the account, `AC...`.
    #[must_use]
    pub fn account_sid(&self) -> &str {
        self.settings.credentials.account_sid()
    }

    /// The base address of the calls.
    #[must_use]
    pub fn base(&self) -> &BaseUrl {
        &self.settings.base
    }

    /// The timeout of a call after it has passed the gate. A lease must be longer.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// Makes a small request to a product, to find out whether it answers. Every answer counts.
    ///
    /// # Errors
    ///
    /// [`Closed`] when the request was not made.
    pub async fn probe(&self, product: Product) -> Result<(), Closed> {
        // SIDs of the right form that do not exist: "not found" is an answer.
        const NO_SERVICE: &str = "IS00000000000000000000000000000000";
        const NO_CHANNEL: &str = "CH00000000000000000000000000000000";
        let (operation, params): (_, &[&str]) = match product {
            Product::Flex => (Operation::FetchConfiguration, &[]),
            Product::Proxy => (Operation::ListProxyServices, &[]),
            Product::Chat => (Operation::FetchChatChannel, &[NO_SERVICE, NO_CHANNEL]),
            Product::Conversations => (Operation::FetchConversation, &[NO_CHANNEL]),
            Product::Taskrouter => (Operation::ListWorkspaces, &[]),
        };
        match self
            .call::<IgnoredAny>(operation, params, Form::new())
            .await
        {
            Err(CallError::Closed(closed)) => Err(closed),
            _ => Ok(()),
        }
    }

    /// Makes one call. `params` replace the braces in the operation's path, in order; `form` is the body of a POST,
    /// and the query of other methods.
    ///
    /// # Errors
    ///
    /// [`CallError`], which says whether the call may have had an effect; `Malformed` when the parameters do not fit
    /// the path.
    pub async fn call<T: DeserializeOwned>(
        &self,
        operation: Operation,
        params: &[&str],
        form: Form,
    ) -> Result<T, CallError> {
        let request = self.request(operation, params, form)?;
        self.send(request).await
    }

    /// Fetches one resource, if it exists.
    pub(super) async fn fetch<T: DeserializeOwned>(
        &self,
        operation: Operation,
        params: &[&str],
    ) -> Result<Option<T>, CallError> {
        match self.call(operation, params, Form::new()).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes or closes a resource. A missing resource is a success. The body of the reply is not read.
    pub(super) async fn end(
        &self,
        operation: Operation,
        params: &[&str],
        form: Form,
    ) -> Result<(), CallError> {
        let request = self.request(operation, params, form)?;
        match self.exchange(request).await {
            Err(error) if is_missing(&error) => Ok(()),
            ended => ended.map(drop),
        }
    }

    /// Builds the request of a call.
    pub(super) fn request(
        &self,
        operation: Operation,
        params: &[&str],
        form: Form,
    ) -> Result<Request, CallError> {
        let endpoint = operation.endpoint();
        let path = filled(endpoint.path, params).map_err(|detail| CallError::Malformed {
            detail: format!("{operation}: {detail}"),
        })?;
        let mut url = self.settings.base.url(endpoint.product, &path);
        let mut form = form;
        if endpoint.method != Method::Post && !form.is_empty() {
            url.push('?');
            url.push_str(&std::mem::take(&mut form).encode());
        }
        Ok(Request {
            operation,
            url,
            form,
            webhooks: false,
        })
    }

    /// Sends a request and reads its reply as JSON.
    pub(super) async fn send<T: DeserializeOwned>(&self, request: Request) -> Result<T, CallError> {
        let reply = self.exchange(request).await?;
        serde_json::from_slice(reply.body())
            .map_err(|error| CallError::broken_body(reply.status().as_u16(), &error))
    }

    async fn exchange(&self, request: Request) -> Result<http::Response<Bytes>, CallError> {
        if self.patience.is_none() {
            return self.exchange_once(request).await;
        }
        let operation = request.operation;
        let once = || self.exchange_once(request.clone());
        patiently(once, |error| may_repeat(operation, error).then_some(error)).await
    }

    /// Passes the gate, sends the request and records the result. A call to a part of Twilio that is away is refused,
    /// both before it waits at the gate and after.
    async fn exchange_once(&self, request: Request) -> Result<http::Response<Bytes>, CallError> {
        let operation = request.operation;
        let request = self.http_request(request)?;
        self.outages.check(operation)?;
        let pass = self.gate.pass(operation).await?;
        let probe = self.outages.enter(operation)?;
        let started = Instant::now();
        let exchanging = self.transport.exchange(request, pass.last_look());
        let reply = tokio::time::timeout(self.settings.timeout, exchanging)
            .await
            .unwrap_or_else(|_| Err(self.too_late()));
        if matches!(reply, Err(NoReply::KeptBack)) {
            return Err(KEPT_BACK.into());
        }
        let answer = answer(&reply);
        let concurrent = reply.as_ref().ok().and_then(concurrent_requests);
        let result = match reply {
            Ok(reply) if reply.status().is_success() => Ok(reply),
            Ok(reply) => Err(CallError::of_reply(&reply)),
            Err(none) => Err(none.into()),
        };
        let (status, code, retry_after) = match &result {
            Ok(reply) => (Some(reply.status().as_u16()), None, None),
            Err(error) => (error.status(), error.code(), error.retry_after()),
        };
        let observed = Observed {
            status,
            code,
            retry_after,
            concurrent,
            mark: pass.mark(),
        };
        self.note(operation, observed, answer, &result, started.elapsed());
        let heard = Heard::of(observed.status, observed.code);
        self.outages.heard(operation, heard, self.gate.caller());
        drop(probe);
        // The pass is dropped last, so that the gate knows the result of this call before it grants the next permit.
        drop(pass);
        result
    }

    fn note(
        &self,
        operation: Operation,
        observed: Observed,
        answer: Answer,
        result: &Result<http::Response<Bytes>, CallError>,
        took: Duration,
    ) {
        self.gate.observe(operation, observed);
        if let Some(observer) = &self.observer {
            observer.called(operation, answer, took);
        }
        tracing::debug!(
            twilio.operation = operation.as_str(),
            twilio.answer = answer.as_str(),
            twilio.status = observed.status,
            twilio.code = observed.code,
            twilio.request_id = result.as_ref().ok().and_then(request_id),
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "called Twilio"
        );
    }

    fn http_request(&self, request: Request) -> Result<http::Request<Bytes>, CallError> {
        let method = request.operation.endpoint().method;
        let mut builder = http::Request::builder()
            .method(method.as_str())
            .uri(request.url)
            .header(AUTHORIZATION, self.settings.credentials.header())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, &self.settings.user_agent);
        if request.webhooks {
            builder = builder.header(WEBHOOK_HEADER, "true");
        }
        let body = if method == Method::Post {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            builder = builder.header(CONTENT_TYPE, form);
            request.form.encode()
        } else {
            String::new()
        };
        // The error is not shown: it could have the URL, and with it a phone number.
        builder
            .body(Bytes::from(body))
            .map_err(|_| CallError::Malformed {
                detail: "the base address or the user agent cannot be used in a request".to_owned(),
            })
    }

    fn too_late(&self) -> NoReply {
        NoReply::Lost {
            status: None,
            timed_out: true,
            detail: format!("no reply within {:?}", self.settings.timeout),
        }
    }
}

fn answer(reply: &Result<http::Response<Bytes>, NoReply>) -> Answer {
    match reply {
        Ok(reply) => Answer::of_status(reply.status().as_u16()),
        Err(NoReply::NotSent(_) | NoReply::KeptBack) => Answer::Connect,
        Err(NoReply::Lost {
            timed_out: true, ..
        }) => Answer::Timeout,
        Err(NoReply::Lost { .. }) => Answer::Reset,
    }
}

/// The number of concurrent calls of the account, from Twilio's header (its pages on 20429 and 45780).
fn concurrent_requests(reply: &http::Response<Bytes>) -> Option<u32> {
    let header = reply.headers().get("Twilio-Concurrent-Requests")?;
    header.to_str().ok()?.trim().parse().ok()
}

/// The request's id, which Twilio's support asks for.
fn request_id(reply: &http::Response<Bytes>) -> Option<&str> {
    reply.headers().get("Twilio-Request-Id")?.to_str().ok()
}
