output "gateway_url" {
  description = "The public base that callbacks are built from."
  value       = module.posthaste.gateway_url
}

output "function_url" {
  description = "The URL that the endpoint's document names."
  value       = google_cloudfunctions2_function.greeter.service_config[0].uri
}

output "database_instance" {
  description = "The name of the database instance."
  value       = module.posthaste.database_instance
}
