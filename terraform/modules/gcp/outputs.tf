output "gateway_url" {
  description = "The public base that callbacks are built from."
  value       = local.gateway_url
}

output "api_url" {
  description = "The API, for the members of api_invokers in the VPC."
  value       = google_cloud_run_v2_service.this["api"].uri
}

output "database_address" {
  description = "The private address of the database, for producers that enqueue with SQL."
  value       = google_sql_database_instance.this.private_ip_address
}

output "database_instance" {
  description = "The name of the database instance."
  value       = google_sql_database_instance.this.name
}

output "secrets" {
  description = "The secrets to fill before the first start, by name. They hold no value until then."
  value       = { for name, secret in google_secret_manager_secret.this : name => secret.secret_id }
}

output "jobs" {
  description = "The jobs to run before each deploy, in this order: migrate, roles."
  value       = { for name, job in google_cloud_run_v2_job.this : name => job.name }
}

output "operator" {
  description = "What a one-off job needs that runs a command of posthaste as the API does, such as `posthaste endpoint put`."
  value = {
    image           = var.image
    service_account = google_service_account.room["api"].email
    environment     = local.environment["api"]
    secrets         = { for name, secret in local.room_secrets["api"] : name => google_secret_manager_secret.this[secret].secret_id }
    network         = var.network
    subnetwork      = var.subnetwork
  }
}

output "service_accounts" {
  description = "The service accounts, by room."
  value       = { for room, account in google_service_account.room : room => account.email }
}
