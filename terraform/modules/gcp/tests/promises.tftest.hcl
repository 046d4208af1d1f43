# What the module promises, held on a plan that is applied to mocks: no cloud, no credentials.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  mock_resource "google_service_account" {
    defaults = { email = "room@shop-1234.iam.gserviceaccount.com", member = "serviceAccount:room@shop-1234.iam.gserviceaccount.com" }
  }
  mock_resource "google_sql_database_instance" {
    defaults = {
      private_ip_address = "10.0.0.5"
      server_ca_cert     = [{ cert = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----", common_name = "", create_time = "", expiration_time = "", sha1_fingerprint = "" }]
    }
  }
}

variables {
  project_id        = "shop-1234"
  region            = "europe-west1"
  image             = "shop/posthaste:0.1.0"
  network           = "projects/shop-1234/global/networks/shop"
  subnetwork        = "projects/shop-1234/regions/europe-west1/subnetworks/shop"
  function_services = ["projects/shop-1234/locations/europe-west1/services/greeter"]
  api_invokers      = ["serviceAccount:shop@shop-1234.iam.gserviceaccount.com"]
}

run "the_gateway_is_the_only_public_entry" {
  assert {
    condition     = [for name, service in google_cloud_run_v2_service.this : name if service.ingress != "INGRESS_TRAFFIC_INTERNAL_ONLY"] == ["gateway"]
    error_message = "Another service than the gateway can be reached from outside."
  }
  assert {
    condition     = google_cloud_run_v2_service_iam_member.world_to_gateway.name == "posthaste-gateway"
    error_message = "The world may call another service than the gateway."
  }
  assert {
    condition     = toset([for member in google_cloud_run_v2_service_iam_member.client_to_api : member.member]) == var.api_invokers
    error_message = "Others than api_invokers may call the API."
  }
  assert {
    condition     = google_cloud_run_v2_service.this["gateway"].template[0].containers[0].ports[0].container_port == 8711
    error_message = "The public service must lead to the gateway's port, not to metrics."
  }
}

run "the_database_is_private_takes_tls_only_and_is_backed_up" {
  assert {
    condition     = !google_sql_database_instance.this.settings[0].ip_configuration[0].ipv4_enabled && google_sql_database_instance.this.settings[0].ip_configuration[0].private_network == var.network
    error_message = "The database has a public address."
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].ip_configuration[0].ssl_mode == "ENCRYPTED_ONLY"
    error_message = "The database takes connections without TLS."
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].backup_configuration[0].enabled && google_sql_database_instance.this.settings[0].backup_configuration[0].point_in_time_recovery_enabled && google_sql_database_instance.this.deletion_protection
    error_message = "The database is not backed up, or can be destroyed."
  }
  assert {
    condition     = contains([for flag in google_sql_database_instance.this.settings[0].database_flags : "${flag.name}=${flag.value}"], "synchronous_commit=on")
    error_message = "What was acknowledged can be lost."
  }
}

run "only_named_functions_can_be_invoked_and_only_by_those_who_dispatch" {
  assert {
    condition     = toset(keys(google_cloud_run_v2_service_iam_member.invoke)) == toset(["api projects/shop-1234/locations/europe-west1/services/greeter", "dispatcher projects/shop-1234/locations/europe-west1/services/greeter"])
    error_message = "Not just API and dispatcher may invoke, or not just what is named."
  }
  assert {
    condition     = alltrue([for member in google_cloud_run_v2_service_iam_member.invoke : member.role == "roles/run.invoker" && member.name == "greeter" && member.location == "europe-west1" && member.project == "shop-1234"])
    error_message = "An invoker may do more than invoke the named service."
  }
}

run "each_room_reads_its_own_secrets_and_none_is_in_plain_environment" {
  assert {
    condition     = toset([for key in keys(google_secret_manager_secret_iam_member.read) : key if startswith(key, "gateway-")]) == toset(["gateway-token-keys", "gateway-secret-keys", "gateway-db-gateway"])
    error_message = "The gateway may read a secret that is not its own."
  }
  assert {
    condition = alltrue(flatten([for service in google_cloud_run_v2_service.this : [for variable in service.template[0].containers[0].env :
    length(variable.value_source) == 1 || length(regexall("PASSWORD|_KEYS?$|SECRET", variable.name)) == 0]]))
    error_message = "A secret is in plain environment."
  }
  assert {
    condition     = alltrue([for url in values(local.database_url) : length(regexall("://[^:/@]+@", url)) == 1 && endswith(url, "sslmode=verify-ca")])
    error_message = "A database URL holds a password, or does not verify the server."
  }
}

run "dispatchers_work_without_requests" {
  assert {
    condition     = google_cloud_run_v2_service.this["dispatcher"].template[0].scaling[0].min_instance_count == 2 && google_cloud_run_v2_service.this["dispatcher"].template[0].scaling[0].max_instance_count == 2
    error_message = "Dispatchers come and go with requests, which they never get."
  }
  assert {
    condition     = alltrue([for service in google_cloud_run_v2_service.this : !service.template[0].containers[0].resources[0].cpu_idle && service.template[0].scaling[0].min_instance_count >= 1])
    error_message = "A service has a CPU only while it answers."
  }
}

run "the_world_may_not_call_the_api" {
  command = plan
  variables {
    api_invokers = ["allUsers"]
  }
  expect_failures = [var.api_invokers]
}

run "a_wildcard_is_no_name_of_a_function" {
  command = plan
  variables {
    function_services = ["projects/shop-1234/locations/europe-west1/services/*"]
  }
  expect_failures = [var.function_services]
}

run "no_dispatcher_at_all_is_refused" {
  command = plan
  variables {
    dispatchers = 0
  }
  expect_failures = [var.dispatchers]
}
