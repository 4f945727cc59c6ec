//! The Twilio client, with Twilio's own names: one file for each product.
//!
//! There is no trait for the provider: Twilio, the simulator over TCP and the simulator in process differ only in the
//! [`Transport`] and the [`BaseUrl`]. In: typed requests. Out: typed replies, or a [`CallError`] that says whether
//! the call may have had an effect. Always: every call, and every page of a list, passes the [`Gate`] before its
//! bytes leave; a call is made once, unless the client has [`Patience`].

mod client;
mod products;
mod outages;

pub mod codes;
mod error;
mod hiding;
pub mod sid;
mod trouble;

pub use client::Twilio;
pub use client::base::{BaseUrl, InvalidBaseUrl};
pub use client::credentials::{Credentials, InvalidCredentials};
pub use client::form::Form;
pub use client::gate::{Closed, Gate, LastLook, Observed, Open, Pass};
pub use client::observer::{Answer, CallObserver};
pub use client::operation::{Endpoint, Method, Operation, Product};
pub use client::patience::{PATIENCE_LOG, Patience, patiently};
pub use client::settings::{ClientSettings, DEFAULT_TIMEOUT};
pub use client::transport::{Dropped, InProcess, Transport, TransportError, http_transport};
pub use codes::{Conflict, classify, conflict, failure, is_login_refused, is_missing, pause_cause};
pub use error::CallError;
pub use hiding::hide_numbers;
pub use outages::Outages;
pub use outages::away_part::{AwayCause, AwayNews, AwayPart};
pub use products::chat::{ChatChannel, ChatMessage};
pub use products::conversation_messages::{
    ConversationMessage, DeliverySummary, NewConversationMessage,
};
pub use products::conversations::{
    Conversation, ConversationParticipant, ConversationWebhook, ConversationsOf, MessagingBinding,
    NewConversation, NewConversationParticipant, ParticipantConversation,
};
pub use products::flex::{
    Configuration, FlexChannel, FlexFlow, FlexIntegration, NewFlexChannel, NewFlexFlow,
};
pub use products::interactions::{
    Interaction, InteractionChannel, NewInteraction, RoutingProperties,
};
pub use products::proxy::{
    MessageInteraction, NewProxyParticipant, NewSession, ProxyParticipant, ProxyService, Session,
};
pub use products::taskrouter::{
    Task, TaskChannel, TaskQueue, Worker, WorkerChannel, WorkersWhere, Workflow, Workspace, quoted,
};
pub use trouble::CallTrouble;
