//! The implementation that the derive writes.

use heck::ToSnakeCase as _;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Result, ext::IdentExt as _};

use crate::attribute::Options;

/// `impl Job` for this type.
pub fn job(input: &DeriveInput) -> Result<TokenStream> {
    if matches!(input.data, Data::Union(_)) {
        return Err(syn::Error::new(input.ident.span(), "the args of a job are a struct or an enum"));
    }
    let Options { kind, queue, endpoint, priority, max_attempts, timeout_ms } = Options::read(&input.attrs)?;
    let kind = kind.map_or_else(|| input.ident.unraw().to_string().to_snake_case(), |kind| kind.value());
    let texts = [("queue", queue), ("endpoint", endpoint)].into_iter().filter_map(|(name, value)| {
        let method = syn::Ident::new(name, value.as_ref()?.span());
        Some(quote!(.#method(#value)))
    });
    let priority = priority.map(|value| quote!(.priority(#value)));
    let max_attempts = max_attempts.map(|value| quote!(.max_attempts(#value)));
    let timeout = timeout_ms.map(|value| quote!(.timeout(::core::time::Duration::from_millis(#value))));
    let name = &input.ident;
    let (generics, arguments, conditions) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::posthaste::Job for #name #arguments #conditions {
            const KIND: &'static str = #kind;

            fn job(&self) -> ::posthaste::NewJob {
                ::posthaste::NewJob::new(<Self as ::posthaste::Job>::KIND, self)
                    #(#texts)* #priority #max_attempts #timeout
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn expanded(input: &DeriveInput) -> String {
        job(input).expect("a sound type").to_string().replace(' ', "")
    }

    fn refused(input: &DeriveInput) -> String {
        job(input).expect_err("a fault").to_string()
    }

    #[test]
    fn the_kind_is_the_name_in_snake_case_unless_it_is_given() {
        for (name, kind) in
            [("SendEmail", "send_email"), ("HTTPCheck", "http_check"), ("Pdf", "pdf"), ("r#Type", "type")]
        {
            let input: DeriveInput = syn::parse_str(&format!("struct {name} {{}}")).expect("a type");
            assert!(expanded(&input).contains(&format!("KIND:&'staticstr=\"{kind}\";")), "{name}");
        }
        let named = expanded(&parse_quote!(
            #[job(kind = "mail/send:v2")]
            struct SendEmail;
        ));
        assert!(named.contains("KIND:&'staticstr=\"mail/send:v2\";"), "{named}");
    }

    #[test]
    fn options_are_set_and_others_left_to_the_server() {
        let one = expanded(&parse_quote! {
            #[job(queue = "mail", priority = 1)]
            #[job(max_attempts = 5, timeout_ms = 10_000)]
            struct SendEmail<T: Clone> { to: T }
        });
        let all = ".queue(\"mail\").priority(1).max_attempts(5).timeout(::core::time::Duration::from_millis(10_000))";
        assert!(one.contains(all) && one.contains("impl<T:Clone>::posthaste::JobforSendEmail<T>"), "{one}");
        assert!(
            expanded(&parse_quote!(
                struct Plain;
            ))
            .contains("KIND,self)}")
        );
    }

    #[test]
    fn a_fault_says_what_is_expected() {
        let faults: [(DeriveInput, &str); 6] = [
            (
                parse_quote!(
                    #[job(kind = "no spaces")]
                    struct J;
                ),
                "must be 1 to 200 letters",
            ),
            (
                parse_quote!(
                    #[job(priority = 5)]
                    struct J;
                ),
                "must be 1 to 4",
            ),
            (
                parse_quote!(
                    #[job(max_attempts = 0)]
                    struct J;
                ),
                "must be 1 to 1000",
            ),
            (
                parse_quote!(
                    #[job(retries = 3)]
                    struct J;
                ),
                "must be one of kind, queue, endpoint",
            ),
            (
                parse_quote!(
                    #[job(queue = "a", queue = "b")]
                    struct J;
                ),
                "is given more than once",
            ),
            (parse_quote!(union J { a: u8 }), "a struct or an enum"),
        ];
        for (input, expected) in faults {
            let error = refused(&input);
            assert!(error.contains(expected), "{error}");
        }
    }
}
