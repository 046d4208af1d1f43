//! Lists of jobs, page by page.

use serde::Deserialize;

use super::{CallError, Client, Job, TIMEOUT};
use crate::State;

/// Which jobs to list: those that fit everything that is set.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only in this state.
    pub state: Option<State>,
    /// Only of this queue.
    pub queue: Option<String>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only with this label.
    pub tag: Option<String>,
    /// So many a page: 1 to 500, else 50.
    pub page_size: Option<u32>,
}

/// Jobs, page by page.
#[derive(Debug)]
pub struct Pages<'a> {
    client: &'a Client,
    filter: JobFilter,
    next: Next,
}

#[derive(Debug)]
enum Next {
    First,
    Cursor(String),
    End,
}

#[derive(Deserialize)]
struct Page {
    jobs: Vec<Job>,
    next_cursor: Option<String>,
}

impl<'a> Pages<'a> {
    pub(super) fn new(client: &'a Client, filter: JobFilter) -> Self {
        Self { client, filter, next: Next::First }
    }

    /// The next page, newest first; `None` when there are no more. A page may be short, or empty, and not be the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Job>>, CallError> {
        let JobFilter { state, queue, kind, tag, page_size } = &self.filter;
        let cursor = match &self.next {
            Next::First => None,
            Next::Cursor(cursor) => Some(cursor.clone()),
            Next::End => return Ok(None),
        };
        let given = [
            ("state", state.map(|state| state.to_string())),
            ("queue", queue.clone()),
            ("kind", kind.clone()),
            ("tag", tag.clone()),
            ("limit", page_size.map(|size| size.to_string())),
            ("cursor", cursor),
        ];
        let mut url = self.client.url(&["jobs"])?;
        for (name, value) in given {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        let page: Page = self.client.get(&url, TIMEOUT).await?;
        self.next = page.next_cursor.map_or(Next::End, Next::Cursor);
        Ok(Some(page.jobs))
    }
}
