//! What an editor sends as a prompt, as a message to the gateway.

use agent_client_protocol::v1::schema::{ContentBlock, EmbeddedResourceResource};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use instar_protocol::api::{Attachment, SendMessage};

/// Puts text, links, files and images in their places; says what cannot be taken.
pub(super) fn message(
    session: String,
    blocks: Vec<ContentBlock>,
    model: Option<String>,
) -> Result<SendMessage, String> {
    let mut text: Vec<String> = Vec::new();
    let mut attachments = Vec::new();
    for block in blocks {
        match block {
            ContentBlock::Text(block) => text.push(block.text),
            // The agent cannot open it; it can say what is meant.
            ContentBlock::ResourceLink(link) => text.push(format!("[{}]({})", link.name, link.uri)),
            ContentBlock::Image(image) => attachments.push(Attachment {
                name: image.uri.as_deref().map_or("image", file_name).to_owned(),
                mime: image.mime_type,
                data: image.data,
            }),
            ContentBlock::Resource(embedded) => {
                attachments.push(attachment(embedded.resource)?);
            }
            ContentBlock::Audio(_) => return Err("sound is not taken; send text".to_owned()),
            _ => return Err("this kind of content is not taken; send text or images".to_owned()),
        }
    }
    Ok(SendMessage {
        session: Some(session),
        text: text.join("\n"),
        idempotency_key: None,
        model,
        attachments,
        attachments_of: None,
        parent: None,
    })
}

/// A file that the editor opened for the agent: data for the model, never instructions.
fn attachment(resource: EmbeddedResourceResource) -> Result<Attachment, String> {
    match resource {
        EmbeddedResourceResource::TextResourceContents(file) => Ok(Attachment {
            name: file_name(&file.uri).to_owned(),
            // The editor has read it as text, whatever language it is in.
            mime: "text/plain".to_owned(),
            data: STANDARD.encode(file.text),
        }),
        EmbeddedResourceResource::BlobResourceContents(file) => Ok(Attachment {
            name: file_name(&file.uri).to_owned(),
            mime: file.mime_type.unwrap_or_default(),
            data: file.blob,
        }),
        _ => Err("this kind of resource is not taken; send text or images".to_owned()),
    }
}

fn file_name(uri: &str) -> &str {
    uri.rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or(uri)
}

#[cfg(test)]
mod tests {
    use super::message;
    use agent_client_protocol::v1::schema::ContentBlock;

    fn read(json: &str) -> Result<instar_protocol::api::SendMessage, String> {
        let blocks: Vec<ContentBlock> = serde_json::from_str(json).unwrap();
        message("agent:main:acp:1".to_owned(), blocks, None)
    }

    #[test]
    fn files_are_attached_and_links_are_named() {
        let sent = read(
            r#"[{"type":"text","text":"look"},
                {"type":"resource_link","name":"a.rs","uri":"file:///x/a.rs"},
                {"type":"resource","resource":{"uri":"file:///x/b.rs","mimeType":"text/rust","text":"fn b() {}"}}]"#,
        )
        .unwrap();
        assert_eq!(sent.text, "look\n[a.rs](file:///x/a.rs)");
        let [file] = &sent.attachments[..] else {
            panic!("{:?}", sent.attachments)
        };
        assert_eq!((&*file.name, &*file.mime), ("b.rs", "text/plain"));
    }

    #[test]
    fn sound_is_refused() {
        let refused = read(r#"[{"type":"audio","data":"AA==","mimeType":"audio/wav"}]"#);
        assert!(refused.unwrap_err().contains("sound"));
    }
}
