# Posthaste on Google Cloud. One file a noun:
#   services.tf   what runs: gateway, dispatcher, API
#   jobs.tf       what is run by hand before each deploy: migration and login roles
#   database.tf   Postgres
#   secrets.tf    secrets, and who may read which
#   iam.tf        service accounts, and who may call whom

data "google_project" "this" {
  project_id = var.project_id
}

locals {
  gateway_port = 8711
  # REST, and health and metrics of every role.
  api_port = 8710

  # The name that Cloud Run gives is known before the service is, and the gateway needs to know its own.
  gateway_host = coalesce(var.gateway_host, "${var.name}-gateway-${data.google_project.this.number}.${var.region}.run.app")
  gateway_url  = "https://${local.gateway_host}"

  # No password in it: each gets its own as PGPASSWORD, from its secret. The certificate names the instance, not its address,
  # so it is the CA of this one instance that is verified.
  database_url = {
    for user in ["ph_gateway", "ph_dispatcher", "ph_api", "postgres"] :
    user => "postgres://${user}@${google_sql_database_instance.this.private_ip_address}:5432/${google_sql_database.this.name}?sslmode=verify-ca"
  }
  database_ca = google_sql_database_instance.this.server_ca_cert[0].cert
}
