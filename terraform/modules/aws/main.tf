# Posthaste on AWS. One file a noun:
#   network.tf         security groups: who may talk to whom
#   load_balancers.tf  the public one of the gateway, the private one of the API
#   database.tf        Postgres
#   secrets.tf, kms.tf, logs.tf, iam.tf
#   tasks.tf           what runs: gateway, dispatcher, API, migration
#   services.tf        how many of it run
#   autoscaling.tf     more dispatchers while a queue lags

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  # `id`, since the fifth and the sixth version of the provider name the other attribute differently.
  region = data.aws_region.current.id

  gateway_port = 8711
  # REST, and health and metrics of every role.
  api_port      = 8710
  database_port = 5432
}

resource "aws_ecs_cluster" "this" {
  name = var.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}
