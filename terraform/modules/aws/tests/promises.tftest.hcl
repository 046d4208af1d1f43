# What the module promises, held on a plan that is applied to mocks: no cloud, no credentials.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:111122223333:key/k", key_id = "k" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:g" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/r" }
  }
  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/app/l/1" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/t/1" }
  }
  mock_resource "aws_appautoscaling_policy" {
    defaults = { arn = "arn:aws:autoscaling:eu-west-1:111122223333:scalingPolicy:p" }
  }
  mock_resource "aws_ecs_cluster" {
    defaults = { id = "arn:aws:ecs:eu-west-1:111122223333:cluster/posthaste" }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:111122223333:task-definition/t:1" }
  }
  mock_resource "aws_secretsmanager_secret" {
    defaults = { arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:s" }
  }
  mock_resource "aws_db_instance" {
    defaults = {
      address            = "posthaste.abc.eu-west-1.rds.amazonaws.com"
      master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:rds" }]
    }
  }
}

variables {
  image                     = "shop/posthaste:0.1.0"
  vpc_id                    = "vpc-1"
  public_subnet_ids         = ["subnet-1", "subnet-2"]
  private_subnet_ids        = ["subnet-3", "subnet-4"]
  gateway_host              = "callbacks.example.com"
  gateway_certificate_arn   = "arn:aws:acm:eu-west-1:111122223333:certificate/g"
  api_certificate_arn       = "arn:aws:acm:eu-west-1:111122223333:certificate/a"
  client_security_group_ids = ["sg-shop"]
  function_arns             = ["arn:aws:lambda:eu-west-1:111122223333:function:greeter"]
  database_ca               = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"
}

run "the_gateway_is_the_only_public_entry" {
  assert {
    condition     = [for name, lb in aws_lb.entry : name if !lb.internal] == ["gateway"]
    error_message = "Another load balancer than the gateway's is public."
  }
  assert {
    condition     = aws_lb.entry["api"].subnets == toset(var.private_subnet_ids)
    error_message = "The API's load balancer is in public subnets."
  }
  assert {
    condition     = alltrue([for service in aws_ecs_service.this : !service.network_configuration[0].assign_public_ip && service.network_configuration[0].subnets == toset(var.private_subnet_ids)])
    error_message = "A task has a public address."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.world_to_gateway.from_port == 443 && aws_vpc_security_group_ingress_rule.world_to_gateway.to_port == 443
    error_message = "The world may dial more than 443."
  }
  assert {
    condition     = alltrue([for rule in concat(values(aws_vpc_security_group_ingress_rule.path), values(aws_vpc_security_group_ingress_rule.client)) : rule.cidr_ipv4 == null && rule.cidr_ipv6 == null && rule.from_port == rule.to_port])
    error_message = "A room lets in addresses, not rooms, or more than a port."
  }
  assert {
    condition     = alltrue([for listener in aws_lb_listener.entry : listener.protocol == "HTTPS" && strcontains(listener.ssl_policy, "TLS13-1-2-Res")])
    error_message = "A listener is not HTTPS, or speaks an old TLS."
  }
  assert {
    condition     = aws_lb_target_group.entry["gateway"].port == 8711
    error_message = "The public load balancer must lead to the gateway's port, not to REST and metrics."
  }
  assert {
    condition     = [for name, service in aws_ecs_service.this : name if length(service.load_balancer) > 0] == ["api", "gateway"]
    error_message = "Dispatchers must have no entry."
  }
}

run "the_database_is_private_encrypted_and_backed_up" {
  assert {
    condition     = !aws_db_instance.this.publicly_accessible && aws_db_instance.this.storage_encrypted && aws_db_instance.this.multi_az
    error_message = "The database is public, in clear, or in one zone."
  }
  assert {
    condition     = aws_db_instance.this.backup_retention_period == 14 && aws_db_instance.this.deletion_protection && !aws_db_instance.this.skip_final_snapshot
    error_message = "The database is not backed up, or can be destroyed without a trace."
  }
  assert {
    condition     = { for p in aws_db_parameter_group.this.parameter : p.name => p.value }["rds.force_ssl"] == "1"
    error_message = "The database takes connections without TLS."
  }
  assert {
    condition     = { for p in aws_db_parameter_group.this.parameter : p.name => p.value }["synchronous_commit"] == "on"
    error_message = "What was acknowledged can be lost."
  }
  assert {
    condition     = aws_db_instance.this.password == null && aws_db_instance.this.manage_master_user_password
    error_message = "The owner's password is in the state."
  }
}

run "only_named_functions_can_be_invoked_and_only_by_dispatchers" {
  assert {
    condition     = jsondecode(aws_iam_role_policy.dispatcher.policy).Statement[0].Resource == ["arn:aws:lambda:eu-west-1:111122223333:function:greeter"]
    error_message = "A dispatcher may invoke other functions than those named."
  }
  assert {
    condition     = length(jsondecode(aws_iam_role_policy.dispatcher.policy).Statement) == 1 && toset(jsondecode(aws_iam_role_policy.dispatcher.policy).Statement[0].Action) == toset(["lambda:InvokeFunction", "lambda:InvokeFunctionUrl"])
    error_message = "A dispatcher may do more than invoke."
  }
  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.api.policy).Statement : !strcontains(jsonencode(statement.Resource), "\"*\"") && !strcontains(jsonencode(statement.Resource), "function:*")])
    error_message = "The API's role names everything."
  }
  assert {
    condition     = local.tasks["gateway"].role == null && local.tasks["migrate"].role == null
    error_message = "The gateway, or the migration, has a role in AWS."
  }
  assert {
    condition     = alltrue([for role in aws_iam_role_policy.execution : length([for s in jsondecode(role.policy).Statement : s if s.Sid != "SignInToRegistry" && contains(flatten([s.Resource]), "*")]) == 0])
    error_message = "A task may read secrets that are not its own."
  }
}

run "roles_of_other_accounts_can_be_assumed_when_named_and_no_others" {
  variables {
    invoke_role_arns = ["arn:aws:iam::210987654321:role/posthaste-invoke"]
  }
  assert {
    condition = alltrue([for policy in [aws_iam_role_policy.dispatcher.policy, aws_iam_role_policy.api.policy] :
    [for s in jsondecode(policy).Statement : s.Resource if contains(flatten([s.Action]), "sts:AssumeRole")] == [["arn:aws:iam::210987654321:role/posthaste-invoke"]]])
    error_message = "Dispatcher or API may not assume the named role, or may assume others."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.dispatcher.policy).Statement[0].Resource == ["arn:aws:lambda:eu-west-1:111122223333:function:greeter"]
    error_message = "With a role a dispatcher may invoke other functions than those named."
  }
  assert {
    condition     = length(jsondecode(aws_iam_role_policy.dispatcher.policy).Statement) == 2
    error_message = "With a role a dispatcher may do more than invoke and assume."
  }
}

run "a_wildcard_is_no_name_of_a_role" {
  command = plan
  variables {
    invoke_role_arns = ["arn:aws:iam::210987654321:role/*"]
  }
  expect_failures = [var.invoke_role_arns]
}

run "each_service_is_asked_whether_it_lives" {
  assert {
    condition = alltrue([for task in ["gateway", "dispatcher", "api"] : strcontains(
    try(join(" ", jsondecode(aws_ecs_task_definition.this[task].container_definitions)[0].healthCheck.command), ""), "127.0.0.1/8710 && printf 'GET /livez")])
    error_message = "A service hangs and nobody notices."
  }
  assert {
    condition     = !can(jsondecode(aws_ecs_task_definition.this["migrate"].container_definitions)[0].healthCheck)
    error_message = "The migration, which listens nowhere, is asked whether it lives."
  }
}

run "no_secret_is_in_plain_environment" {
  assert {
    condition = alltrue(flatten([for task in aws_ecs_task_definition.this : [for container in jsondecode(task.container_definitions) :
    [for variable in try(container.environment, []) : length(regexall("PASSWORD|_KEYS?$|SECRET", variable.name)) == 0]]]))
    error_message = "A secret is in a task definition."
  }
  assert {
    condition     = alltrue([for url in values(local.database_url) : length(regexall("://[^:/@]+@", url)) == 1 && endswith(url, "sslmode=verify-full")])
    error_message = "A database URL holds a password, or does not verify the server."
  }
  assert {
    condition     = !contains(keys(local.task_secrets["gateway"]), "POSTHASTE_API_KEY") && length(setintersection(keys(local.task_secrets["gateway"]), ["API_PASSWORD", "DISPATCHER_PASSWORD"])) == 0
    error_message = "The gateway gets a secret that is not its own."
  }
  assert {
    condition = alltrue(flatten([for task in aws_ecs_task_definition.this : [for container in jsondecode(task.container_definitions) :
    container.readonlyRootFilesystem]]))
    error_message = "A container can write its image."
  }
}

run "dispatchers_grow_with_the_lag_within_bounds" {
  assert {
    condition     = aws_appautoscaling_target.dispatcher.min_capacity == 2 && aws_appautoscaling_target.dispatcher.max_capacity == 8
    error_message = "The bounds are not those of the variable."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.lag["lags"].metric_name == "posthaste_queue_lag_seconds" && aws_cloudwatch_metric_alarm.lag["lags"].threshold == 30
    error_message = "The alarm does not look at the queue lag."
  }
  assert {
    condition     = strcontains(local.collector.environment[0].value, aws_cloudwatch_metric_alarm.lag["lags"].namespace) && strcontains(local.collector.environment[0].value, aws_cloudwatch_metric_alarm.lag["lags"].metric_name)
    error_message = "The collector does not write what the alarm reads."
  }
}

run "a_wildcard_is_no_name_of_a_function" {
  command = plan
  variables {
    function_arns = ["arn:aws:lambda:eu-west-1:111122223333:function:*"]
  }
  expect_failures = [var.function_arns]
}

run "an_image_that_moves_is_refused" {
  command = plan
  variables {
    image = "shop/posthaste:latest"
  }
  expect_failures = [var.image]
}

run "more_than_fifty_dispatchers_are_refused" {
  command = plan
  variables {
    dispatchers = { max = 51 }
  }
  expect_failures = [var.dispatchers]
}
