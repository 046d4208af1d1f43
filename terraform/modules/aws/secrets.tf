# The secrets are made empty and filled by hand (README.md), so that no value is ever in a plan or in the state.

locals {
  secrets = {
    token-keys    = "The ring of the callback tokens: POSTHASTE_TOKEN_KEYS."
    secret-keys   = "The ring that seals endpoints' signing secrets: POSTHASTE_SECRET_KEYS."
    api-key       = "The bootstrap key of the API: POSTHASTE_API_KEY."
    db-gateway    = "The password of the database role ph_gateway."
    db-dispatcher = "The password of the database role ph_dispatcher."
    db-api        = "The password of the database role ph_api."
  }

  owner_secret_arn = aws_db_instance.this.master_user_secret[0].secret_arn

  # Which secrets each task may read, by the variable in which it gets them.
  task_secrets = {
    gateway = {
      POSTHASTE_TOKEN_KEYS  = aws_secretsmanager_secret.this["token-keys"].arn
      POSTHASTE_SECRET_KEYS = aws_secretsmanager_secret.this["secret-keys"].arn
      PGPASSWORD            = aws_secretsmanager_secret.this["db-gateway"].arn
    }
    dispatcher = {
      POSTHASTE_TOKEN_KEYS  = aws_secretsmanager_secret.this["token-keys"].arn
      POSTHASTE_SECRET_KEYS = aws_secretsmanager_secret.this["secret-keys"].arn
      PGPASSWORD            = aws_secretsmanager_secret.this["db-dispatcher"].arn
    }
    api = {
      POSTHASTE_TOKEN_KEYS  = aws_secretsmanager_secret.this["token-keys"].arn
      POSTHASTE_SECRET_KEYS = aws_secretsmanager_secret.this["secret-keys"].arn
      POSTHASTE_API_KEY     = aws_secretsmanager_secret.this["api-key"].arn
      PGPASSWORD            = aws_secretsmanager_secret.this["db-api"].arn
    }
    migrate = {
      PGPASSWORD          = "${local.owner_secret_arn}:password::"
      GATEWAY_PASSWORD    = aws_secretsmanager_secret.this["db-gateway"].arn
      DISPATCHER_PASSWORD = aws_secretsmanager_secret.this["db-dispatcher"].arn
      API_PASSWORD        = aws_secretsmanager_secret.this["db-api"].arn
    }
  }
}

resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV2_AWS_57:Rings are rotated by hand, since an old key must be kept as long as its tokens live: docs/how-to/rotate-secrets.md. RDS rotates the owner's password.
  for_each = local.secrets

  name        = "${var.name}/${each.key}"
  description = each.value
  kms_key_id  = aws_kms_key.this.arn
}
