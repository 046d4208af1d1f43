locals {
  rooms = {
    gateway    = "takes callbacks"
    dispatcher = "sends jobs"
    api        = "answers REST, and sends jobs"
    migrate    = "brings schema and roles up to date"
  }

  # `posthaste serve`, the API, has a dispatcher in it.
  calls = {
    for call in setproduct(["dispatcher", "api"], var.function_services) :
    "${call[0]} ${call[1]}" => { room = call[0], service = split("/", call[1]) }
  }
}

# None has a role in the project: all they may do is below, and in secrets.tf.
resource "google_service_account" "room" {
  for_each = local.rooms

  project      = var.project_id
  account_id   = "${var.name}-${each.key}"
  display_name = "${var.name}: ${each.value}"
}

# Only named functions.
resource "google_cloud_run_v2_service_iam_member" "invoke" {
  for_each = local.calls

  project  = each.value.service[1]
  location = each.value.service[3]
  name     = each.value.service[5]
  role     = "roles/run.invoker"
  member   = google_service_account.room[each.value.room].member
}

# The only public entry: functions and senders of webhooks have no account here, but a token or a signature.
resource "google_cloud_run_v2_service_iam_member" "world_to_gateway" {
  #checkov:skip=CKV_GCP_102:The gateway is the public entry, the only one. It judges each token or signature before it asks the database.
  project  = var.project_id
  location = var.region
  name     = google_cloud_run_v2_service.this["gateway"].name
  role     = "roles/run.invoker"
  member   = "allUsers"
}

resource "google_cloud_run_v2_service_iam_member" "client_to_api" {
  for_each = var.api_invokers

  project  = var.project_id
  location = var.region
  name     = google_cloud_run_v2_service.this["api"].name
  role     = "roles/run.invoker"
  member   = each.key
}
