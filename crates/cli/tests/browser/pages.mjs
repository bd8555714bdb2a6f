// The pages beside the chat.

export const PAGES = ["/approvals", "/policy", "/audit", "/sessions", "/usage", "/releases", "/events", "/faults", "/agents", "/models", "/devices", "/config", "/config/key?path=gateway.bind", "/status?checks=1", "/logs"];
