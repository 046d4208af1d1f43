locals {
  services = {
    gateway    = { count = 2, entry = "gateway", port = local.gateway_port }
    dispatcher = { count = var.dispatchers.min, entry = null, port = null }
    api        = { count = 2, entry = "api", port = local.api_port }
  }
}

resource "aws_ecs_service" "this" {
  for_each = local.services

  name                  = each.key
  cluster               = aws_ecs_cluster.this.id
  task_definition       = aws_ecs_task_definition.this[each.key].arn
  desired_count         = each.value.count
  launch_type           = "FARGATE"
  platform_version      = "LATEST"
  propagate_tags        = "SERVICE"
  wait_for_steady_state = false

  # A new one must run before an old one goes.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [aws_security_group.room[each.key].id]
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = each.value.entry == null ? [] : [each.value]
    content {
      target_group_arn = aws_lb_target_group.entry[load_balancer.value.entry].arn
      container_name   = "posthaste"
      container_port   = load_balancer.value.port
    }
  }

  lifecycle {
    # Autoscaling says how many dispatchers run, and a person may say how many of the others.
    ignore_changes = [desired_count]
  }

  # Without a listener its target group belongs to no load balancer, and the service is refused.
  depends_on = [aws_lb_listener.entry, aws_iam_role_policy.execution]
}
