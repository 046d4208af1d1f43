//! Told: the recorded truth about a run, as its callers hear it.

use posthaste_engine::callback::{Told, Winner};
use posthaste_protocol::{
    callback::CallbackAnswer,
    id::JobId,
    job::{JobRef, State},
    problem::Code,
};

use crate::refusal::Refusal;

/// 200 to whoever ended the run, once or again; 409 to the losers, saying who won; 410 when nothing is known any more.
pub fn answer(id: JobId, told: &Told) -> Result<CallbackAnswer, Refusal> {
    let job = |state: State| JobRef { id, state };
    match told {
        Told::Applied { state } => Ok(CallbackAnswer::applied(job(*state))),
        Told::Duplicate { state } => Ok(CallbackAnswer::duplicate(job(*state))),
        Told::AlreadyFinalized { state, winner } => {
            let detail = winner.as_ref().map_or_else(|| format!("the job is {state}"), won);
            Err(Refusal::conflict(Code::AlreadyFinalized, detail, job(*state)))
        }
        Told::LeaseSuperseded { state } => {
            Err(Refusal::conflict(Code::LeaseSuperseded, "another run holds the job: stop this one", job(*state)))
        }
        // Whoever asks for these has looked further by now.
        Told::Unjudged | Told::LaneUnknown => Err(Refusal::overloaded()),
        Told::PastRetention => Err(Refusal::new(Code::PastRetention, "nothing is known of the job any more")),
    }
}

/// Who ended the run, in a sentence.
fn won(Winner { outcome, ended_by, action }: &Winner) -> String {
    match action {
        _ if outcome == "suspended" => {
            "the run waits no more: what it waited for has come, or its time is over".to_owned()
        }
        Some(action) => format!("the run ended as {outcome}, by a callback that said {action}"),
        None => format!("the run ended as {outcome}, by the {ended_by}"),
    }
}

#[cfg(test)]
mod tests {
    use posthaste_protocol::problem::Problem;

    use super::*;

    #[test]
    fn a_loser_is_told_who_won_and_how_the_job_stands() {
        let winner = |action: Option<&str>, ended_by: &str| Winner {
            outcome: "completed".to_owned(),
            ended_by: ended_by.to_owned(),
            action: action.map(str::to_owned),
        };
        for (winner, detail) in [
            (
                Some(winner(Some("complete"), "callback")),
                "the run ended as completed, by a callback that said complete",
            ),
            (Some(winner(None, "dispatcher")), "the run ended as completed, by the dispatcher"),
            (
                Some(Winner { outcome: "suspended".to_owned(), ..winner(Some("resume"), "callback") }),
                "the run waits no more: what it waited for has come, or its time is over",
            ),
            (None, "the job is completed"),
        ] {
            let told = Told::AlreadyFinalized { state: State::Completed, winner };
            let problem = Problem::from(answer(JobId(7), &told).unwrap_err());
            assert_eq!((problem.status, problem.detail.as_str()), (409, detail));
            assert_eq!(problem.job, Some(JobRef { id: JobId(7), state: State::Completed }));
        }
    }
}
