output "gateway_url" {
  description = "The public base that callbacks are built from."
  value       = local.gateway_url
}

output "gateway_load_balancer" {
  description = "Where the DNS record of gateway_host points: an alias, or a CNAME of dns_name. A firewall is attached to arn."
  value       = { dns_name = aws_lb.entry["gateway"].dns_name, zone_id = aws_lb.entry["gateway"].zone_id, arn = aws_lb.entry["gateway"].arn }
}

output "api_load_balancer" {
  description = "Where the private DNS record of the API's name points."
  value       = { dns_name = aws_lb.entry["api"].dns_name, zone_id = aws_lb.entry["api"].zone_id, arn = aws_lb.entry["api"].arn }
}

output "database_address" {
  description = "The host name of the database, for producers that enqueue with SQL."
  value       = aws_db_instance.this.address
}

output "secret_arns" {
  description = "The secrets to fill before the first start, by name. They hold no value until then."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
}

output "cluster" {
  description = "The name of the ECS cluster."
  value       = aws_ecs_cluster.this.name
}

output "kms_key_arn" {
  description = "The key of database, secrets and logs."
  value       = aws_kms_key.this.arn
}

output "migration" {
  description = "The arguments of `aws ecs run-task` that bring schema and roles up to date."
  value = {
    cluster         = aws_ecs_cluster.this.name
    task_definition = aws_ecs_task_definition.this["migrate"].family
    subnets         = var.private_subnet_ids
    security_group  = aws_security_group.room["migrate"].id
  }
}

output "operator" {
  description = "What a one-off task needs that runs a command of posthaste as the API does, such as `posthaste endpoint put`."
  value = {
    image               = var.image
    environment         = local.environment["api"]
    secrets             = local.task_secrets["api"]
    execution_role_arn  = aws_iam_role.execution["api"].arn
    execution_role_name = aws_iam_role.execution["api"].name
    log                 = local.log["api"]
    subnets             = var.private_subnet_ids
    security_group      = aws_security_group.room["api"].id
  }
}

output "dispatcher_roles" {
  description = "The roles that dispatch, dispatcher's and API's: a role in invoke_role_arns must trust both."
  value       = [aws_iam_role.dispatcher.arn, aws_iam_role.api.arn]
}
