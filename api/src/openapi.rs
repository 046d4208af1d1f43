//! The OpenAPI document, made from the routes.

use std::sync::OnceLock;

use utoipa::openapi::{
    Content, InfoBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Server,
    path::Operation,
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};

use crate::{router::documented, schema};

/// The document.
pub fn document() -> OpenApi {
    let (_, mut document) = documented().split_for_parts();
    document.info = InfoBuilder::new()
        .title("Posthaste")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Enqueue jobs, read them, act on them, and say which endpoints take them. \
             Errors are RFC 9457 problems with a stable `code`.",
        ))
        .build();
    document.servers = Some(vec![Server::new("http://127.0.0.1:8710")]);
    document.merge(schema::components());
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key; optional on loopback while no key exists."))
        .build();
    document.components.get_or_insert_default().add_security_scheme("api_key", SecurityScheme::Http(key));
    document.security = Some(vec![SecurityRequirement::new::<_, _, String>("api_key", [])]);
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        operations.into_iter().flatten().for_each(add_default);
    }
    document
}

/// The document as JSON, made once.
pub fn text() -> String {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| document().to_pretty_json().map(|text| text + "\n").unwrap_or_default()).clone()
}

/// Every operation can answer a problem.
fn add_default(operation: &mut Operation) {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new()
        .description("Any other error: a problem whose `code` says which")
        .content("application/problem+json", problem)
        .build();
    operation.responses.responses.insert("default".to_owned(), RefOr::T(response));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_what_the_routes_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/openapi.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == text(),
            "docs/reference/openapi.json is out of date; regenerate it with\n  \
             cargo run -q -p posthaste-api --example openapi > docs/reference/openapi.json"
        );
    }

    #[test]
    fn every_operation_has_a_name_and_every_response_a_description() {
        let document: serde_json::Value = serde_json::from_str(&text()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), 16);
        for operation in paths.values().flat_map(|item| item.as_object().unwrap().values()) {
            assert!(operation["operationId"].is_string(), "{operation}");
            for response in operation["responses"].as_object().unwrap().values() {
                assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{operation}");
            }
        }
    }
}
