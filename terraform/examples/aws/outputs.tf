output "gateway_load_balancer" {
  description = "Where the DNS record of gateway_host points."
  value       = module.posthaste.gateway_load_balancer
}

output "function_url" {
  description = "The URL that the endpoint's document names."
  value       = "https://lambda.${var.region}.amazonaws.com/2015-03-31/functions/${aws_lambda_function.greeter.function_name}/invocations"
}

output "run_task" {
  description = "The network of one-off tasks, as `aws ecs run-task --network-configuration` takes it."
  value = {
    for name, group in { migrate = module.posthaste.migration.security_group, operator = module.posthaste.operator.security_group } : name =>
    jsonencode({ awsvpcConfiguration = { subnets = module.posthaste.operator.subnets, securityGroups = [group], assignPublicIp = "DISABLED" } })
  }
}
