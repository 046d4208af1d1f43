# Each room has a security group. The only rule that lets the world in is that of the gateway's load balancer.

locals {
  rooms = {
    gateway_lb = "The load balancer of the callback gateway, the only public entry."
    gateway    = "Callback gateways."
    dispatcher = "Dispatchers."
    api_lb     = "The private load balancer of the API."
    api        = "The API, with a dispatcher in it."
    migrate    = "The migration."
    database   = "Postgres."
  }

  # Who may connect to whom: the port that is dialled.
  paths = {
    gateway_lb-gateway  = { from = "gateway_lb", to = "gateway", port = local.gateway_port }
    gateway_lb-health   = { from = "gateway_lb", to = "gateway", port = local.api_port }
    api_lb-api          = { from = "api_lb", to = "api", port = local.api_port }
    gateway-database    = { from = "gateway", to = "database", port = local.database_port }
    dispatcher-database = { from = "dispatcher", to = "database", port = local.database_port }
    api-database        = { from = "api", to = "database", port = local.database_port }
    migrate-database    = { from = "migrate", to = "database", port = local.database_port }
  }

  # What clients of yours may connect to.
  client_paths = {
    for path in setproduct(var.client_security_group_ids, ["api_lb", "database"]) : "${path[0]}-${path[1]}" => {
      client = path[0]
      to     = path[1]
      port   = path[1] == "api_lb" ? 443 : local.database_port
    }
  }
}

resource "aws_security_group" "room" {
  #checkov:skip=CKV2_AWS_5:Attached to load balancers, services, the database, and the tasks that the outputs tell how to run.
  for_each = local.rooms

  name_prefix = "${var.name}-${replace(each.key, "_", "-")}-"
  description = each.value
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-${each.key}" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "world_to_gateway" {
  description       = "Callbacks and webhooks"
  security_group_id = aws_security_group.room["gateway_lb"].id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "path" {
  for_each = local.paths

  description                  = each.key
  security_group_id            = aws_security_group.room[each.value.from].id
  referenced_security_group_id = aws_security_group.room[each.value.to].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "path" {
  for_each = local.paths

  description                  = each.key
  security_group_id            = aws_security_group.room[each.value.to].id
  referenced_security_group_id = aws_security_group.room[each.value.from].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "client" {
  for_each = local.client_paths

  description                  = each.key
  security_group_id            = aws_security_group.room[each.value.to].id
  referenced_security_group_id = each.value.client
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

# Functions are anywhere, but always HTTPS. Every task fetches its image and its secrets and writes its log this way.
resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = toset(["gateway", "dispatcher", "api", "migrate"])

  description       = "HTTPS: functions, images, secrets, logs"
  security_group_id = aws_security_group.room[each.key].id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
