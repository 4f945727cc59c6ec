//! The operations of Twilio that flexcast calls, as a closed list. An operation's name is its label in metrics, its
//! lane in pacing and its name in faults.

use serde::{Deserialize, Serialize};

use crate::message::closed_list;

/// A product of Twilio: the host `https://{product}.twilio.com`, or the first path segment under
/// `FLEXCAST_TWILIO_URL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Product {
    Flex,
    Proxy,
    Chat,
    Conversations,
    Taskrouter,
}

closed_list!(Product {
    Flex => "flex-api",
    Proxy => "proxy",
    Chat => "chat",
    Conversations => "conversations",
    Taskrouter => "taskrouter",
});

/// The HTTP methods of Twilio's APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    Get,
    Post,
    Delete,
}

closed_list!(Method { Get => "GET", Post => "POST", Delete => "DELETE" });

/// The product, method and path of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub product: Product,
    pub method: Method,
    /// The path with its parameters in braces, as in Twilio's OpenAPI.
    pub path: &'static str,
}

/// A call of Twilio's REST APIs that flexcast makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    FetchConfiguration,
    ListFlexFlows,
    CreateFlexFlow,
    CreateFlexChannel,
    FetchFlexChannel,
    CreateInteraction,
    FetchInteraction,
    ListInteractionChannels,
    UpdateInteractionChannel,
    ListProxyServices,
    CreateSession,
    FetchSession,
    ListSessions,
    DeleteSession,
    CreateProxyParticipant,
    ListProxyParticipants,
    CreateMessageInteraction,
    ListMessageInteractions,
    ListProxyInteractions,
    FetchChatChannel,
    UpdateChatChannel,
    CreateChatMessage,
    ListChatMessages,
    CreateConversation,
    FetchConversation,
    UpdateConversation,
    CreateConversationParticipant,
    ListConversationParticipants,
    CreateConversationWebhook,
    ListConversationWebhooks,
    CreateConversationMessage,
    ListConversationMessages,
    ListParticipantConversations,
    CreateUser,
    FetchUser,
    UpdateUser,
    ListWorkspaces,
    ListWorkflows,
    ListTaskQueues,
    ListTaskChannels,
    ListWorkers,
    FetchWorker,
    ListWorkerChannels,
    ListTasks,
    FetchTask,
    UpdateTask,
}

closed_list!(Operation {
    FetchConfiguration => "fetch_configuration",
    ListFlexFlows => "list_flex_flows",
    CreateFlexFlow => "create_flex_flow",
    CreateFlexChannel => "create_flex_channel",
    FetchFlexChannel => "fetch_flex_channel",
    CreateInteraction => "create_interaction",
    FetchInteraction => "fetch_interaction",
    ListInteractionChannels => "list_interaction_channels",
    UpdateInteractionChannel => "update_interaction_channel",
    ListProxyServices => "list_proxy_services",
    CreateSession => "create_session",
    FetchSession => "fetch_session",
    ListSessions => "list_sessions",
    DeleteSession => "delete_session",
    CreateProxyParticipant => "create_proxy_participant",
    ListProxyParticipants => "list_proxy_participants",
    CreateMessageInteraction => "create_message_interaction",
    ListMessageInteractions => "list_message_interactions",
    ListProxyInteractions => "list_proxy_interactions",
    FetchChatChannel => "fetch_chat_channel",
    UpdateChatChannel => "update_chat_channel",
    CreateChatMessage => "create_chat_message",
    ListChatMessages => "list_chat_messages",
    CreateConversation => "create_conversation",
    FetchConversation => "fetch_conversation",
    UpdateConversation => "update_conversation",
    CreateConversationParticipant => "create_conversation_participant",
    ListConversationParticipants => "list_conversation_participants",
    CreateConversationWebhook => "create_conversation_webhook",
    ListConversationWebhooks => "list_conversation_webhooks",
    CreateConversationMessage => "create_conversation_message",
    ListConversationMessages => "list_conversation_messages",
    ListParticipantConversations => "list_participant_conversations",
    CreateUser => "create_user",
    FetchUser => "fetch_user",
    UpdateUser => "update_user",
    ListWorkspaces => "list_workspaces",
    ListWorkflows => "list_workflows",
    ListTaskQueues => "list_task_queues",
    ListTaskChannels => "list_task_channels",
    ListWorkers => "list_workers",
    FetchWorker => "fetch_worker",
    ListWorkerChannels => "list_worker_channels",
    ListTasks => "list_tasks",
    FetchTask => "fetch_task",
    UpdateTask => "update_task",
});

impl Operation {
    /// Whether the call sends a text to a customer.
    #[must_use]
    pub fn sends_text(self) -> bool {
        matches!(
            self,
            Self::CreateMessageInteraction
                | Self::CreateChatMessage
                | Self::CreateConversationMessage
        )
    }

    /// The endpoint of the operation (Twilio's OpenAPI, 2026-04).
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table, one line an operation")]
    pub fn endpoint(self) -> Endpoint {
        use Method::{Delete, Get, Post};
        use Product::{Chat, Conversations, Flex, Proxy, Taskrouter};
        let (product, method, path) = match self {
            Self::FetchConfiguration => (Flex, Get, "/v1/Configuration"),
            Self::ListFlexFlows => (Flex, Get, "/v1/FlexFlows"),
            Self::CreateFlexFlow => (Flex, Post, "/v1/FlexFlows"),
            Self::CreateFlexChannel => (Flex, Post, "/v1/Channels"),
            Self::FetchFlexChannel => (Flex, Get, "/v1/Channels/{Sid}"),
            Self::CreateInteraction => (Flex, Post, "/v1/Interactions"),
            Self::FetchInteraction => (Flex, Get, "/v1/Interactions/{Sid}"),
            Self::ListInteractionChannels => {
                (Flex, Get, "/v1/Interactions/{InteractionSid}/Channels")
            }
            Self::UpdateInteractionChannel => (
                Flex,
                Post,
                "/v1/Interactions/{InteractionSid}/Channels/{Sid}",
            ),
            Self::ListProxyServices => (Proxy, Get, "/v1/Services"),
            Self::CreateSession => (Proxy, Post, "/v1/Services/{ServiceSid}/Sessions"),
            Self::FetchSession => (Proxy, Get, "/v1/Services/{ServiceSid}/Sessions/{Sid}"),
            Self::ListSessions => (Proxy, Get, "/v1/Services/{ServiceSid}/Sessions"),
            Self::DeleteSession => (Proxy, Delete, "/v1/Services/{ServiceSid}/Sessions/{Sid}"),
            Self::CreateProxyParticipant => (
                Proxy,
                Post,
                "/v1/Services/{ServiceSid}/Sessions/{SessionSid}/Participants",
            ),
            Self::ListProxyParticipants => (
                Proxy,
                Get,
                "/v1/Services/{ServiceSid}/Sessions/{SessionSid}/Participants",
            ),
            Self::CreateMessageInteraction => (
                Proxy,
                Post,
                "/v1/Services/{ServiceSid}/Sessions/{SessionSid}/Participants/{ParticipantSid}/MessageInteractions",
            ),
            Self::ListMessageInteractions => (
                Proxy,
                Get,
                "/v1/Services/{ServiceSid}/Sessions/{SessionSid}/Participants/{ParticipantSid}/MessageInteractions",
            ),
            Self::ListProxyInteractions => (
                Proxy,
                Get,
                "/v1/Services/{ServiceSid}/Sessions/{SessionSid}/Interactions",
            ),
            Self::FetchChatChannel => (Chat, Get, "/v2/Services/{ServiceSid}/Channels/{Sid}"),
            Self::UpdateChatChannel => (Chat, Post, "/v2/Services/{ServiceSid}/Channels/{Sid}"),
            Self::CreateChatMessage => (
                Chat,
                Post,
                "/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Messages",
            ),
            Self::ListChatMessages => (
                Chat,
                Get,
                "/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Messages",
            ),
            Self::CreateConversation => (Conversations, Post, "/v1/Conversations"),
            Self::FetchConversation => (Conversations, Get, "/v1/Conversations/{Sid}"),
            Self::UpdateConversation => (Conversations, Post, "/v1/Conversations/{Sid}"),
            Self::CreateConversationParticipant => (
                Conversations,
                Post,
                "/v1/Conversations/{ConversationSid}/Participants",
            ),
            Self::ListConversationParticipants => (
                Conversations,
                Get,
                "/v1/Conversations/{ConversationSid}/Participants",
            ),
            Self::CreateConversationWebhook => (
                Conversations,
                Post,
                "/v1/Conversations/{ConversationSid}/Webhooks",
            ),
            Self::ListConversationWebhooks => (
                Conversations,
                Get,
                "/v1/Conversations/{ConversationSid}/Webhooks",
            ),
            Self::CreateConversationMessage => (
                Conversations,
                Post,
                "/v1/Conversations/{ConversationSid}/Messages",
            ),
            Self::ListConversationMessages => (
                Conversations,
                Get,
                "/v1/Conversations/{ConversationSid}/Messages",
            ),
            Self::ListParticipantConversations => {
                (Conversations, Get, "/v1/ParticipantConversations")
            }
            Self::CreateUser => (Conversations, Post, "/v1/Services/{ChatServiceSid}/Users"),
            Self::FetchUser => (
                Conversations,
                Get,
                "/v1/Services/{ChatServiceSid}/Users/{Sid}",
            ),
            Self::UpdateUser => (
                Conversations,
                Post,
                "/v1/Services/{ChatServiceSid}/Users/{Sid}",
            ),
            Self::ListWorkspaces => (Taskrouter, Get, "/v1/Workspaces"),
            Self::ListWorkflows => (Taskrouter, Get, "/v1/Workspaces/{WorkspaceSid}/Workflows"),
            Self::ListTaskQueues => (Taskrouter, Get, "/v1/Workspaces/{WorkspaceSid}/TaskQueues"),
            Self::ListTaskChannels => (
                Taskrouter,
                Get,
                "/v1/Workspaces/{WorkspaceSid}/TaskChannels",
            ),
            Self::ListWorkers => (Taskrouter, Get, "/v1/Workspaces/{WorkspaceSid}/Workers"),
            Self::FetchWorker => (
                Taskrouter,
                Get,
                "/v1/Workspaces/{WorkspaceSid}/Workers/{Sid}",
            ),
            Self::ListWorkerChannels => (
                Taskrouter,
                Get,
                "/v1/Workspaces/{WorkspaceSid}/Workers/{WorkerSid}/Channels",
            ),
            Self::ListTasks => (Taskrouter, Get, "/v1/Workspaces/{WorkspaceSid}/Tasks"),
            Self::FetchTask => (Taskrouter, Get, "/v1/Workspaces/{WorkspaceSid}/Tasks/{Sid}"),
            Self::UpdateTask => (
                Taskrouter,
                Post,
                "/v1/Workspaces/{WorkspaceSid}/Tasks/{Sid}",
            ),
        };
        Endpoint {
            product,
            method,
            path,
        }
    }

    /// Whether the call can change data at Twilio.
    #[must_use]
    pub fn is_changing(self) -> bool {
        self.endpoint().method != Method::Get
    }
}
