# The secrets are made empty and filled by hand (README.md), so that no value is ever in a plan or in the state.

locals {
  secrets = ["token-keys", "secret-keys", "api-key", "db-owner", "db-gateway", "db-dispatcher", "db-api"]

  # Which secrets each may read, by the variable in which it gets them.
  room_secrets = {
    gateway = {
      POSTHASTE_TOKEN_KEYS  = "token-keys"
      POSTHASTE_SECRET_KEYS = "secret-keys"
      PGPASSWORD            = "db-gateway"
    }
    dispatcher = {
      POSTHASTE_TOKEN_KEYS  = "token-keys"
      POSTHASTE_SECRET_KEYS = "secret-keys"
      PGPASSWORD            = "db-dispatcher"
    }
    api = {
      POSTHASTE_TOKEN_KEYS  = "token-keys"
      POSTHASTE_SECRET_KEYS = "secret-keys"
      POSTHASTE_API_KEY     = "api-key"
      PGPASSWORD            = "db-api"
    }
    migrate = {
      PGPASSWORD          = "db-owner"
      GATEWAY_PASSWORD    = "db-gateway"
      DISPATCHER_PASSWORD = "db-dispatcher"
      API_PASSWORD        = "db-api"
    }
  }

  reads = merge([
    for room, secrets in local.room_secrets : {
      for secret in values(secrets) : "${room}-${secret}" => { room = room, secret = secret }
    }
  ]...)
}

resource "google_secret_manager_secret" "this" {
  for_each = toset(local.secrets)

  project             = var.project_id
  secret_id           = "${var.name}-${each.key}"
  deletion_protection = var.deletion_protection

  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_iam_member" "read" {
  for_each = local.reads

  project   = var.project_id
  secret_id = google_secret_manager_secret.this[each.value.secret].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.room[each.value.room].member
}
