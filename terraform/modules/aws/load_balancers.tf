locals {
  entries = {
    gateway = {
      internal    = false
      subnets     = var.public_subnet_ids
      certificate = var.gateway_certificate_arn
      port        = local.gateway_port
    }
    api = {
      internal    = true
      subnets     = var.private_subnet_ids
      certificate = var.api_certificate_arn
      port        = local.api_port
    }
  }
}

resource "aws_lb" "entry" {
  #checkov:skip=CKV_AWS_91:URLs of hooks hold tokens, so an access log would be a list of credentials. The gateway keeps its own log of deliveries, without them.
  #checkov:skip=CKV2_AWS_28:What a firewall may drop is the owner's choice: attach one to the output gateway_load_balancer. Tokens are judged before the database is asked.
  for_each = local.entries

  name                       = "${var.name}-${each.key}"
  load_balancer_type         = "application"
  internal                   = each.value.internal
  subnets                    = each.value.subnets
  security_groups            = [aws_security_group.room["${each.key}_lb"].id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  # Longer than the longest long-poll.
  idle_timeout = 120
}

resource "aws_lb_target_group" "entry" {
  for_each = local.entries

  name                 = "${var.name}-${each.key}"
  vpc_id               = var.vpc_id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = each.value.port
  deregistration_delay = 30

  health_check {
    path                = "/readyz"
    port                = local.api_port
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener" "entry" {
  for_each = local.entries

  load_balancer_arn = aws_lb.entry[each.key].arn
  protocol          = "HTTPS"
  port              = 443
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
  certificate_arn   = each.value.certificate

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.entry[each.key].arn
  }
}
