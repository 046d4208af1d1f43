# Makes the login roles that the services connect with, or gives them the passwords that the secrets hold now. Run by the
# migration, after `posthaste migrate` has made the group roles (docs/reference/sql.md#roles); safe to repeat.
# Needs sh and psql; takes PGHOST, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE, DATABASE_CA (PEM) and ..._PASSWORD.
set -eu
umask 077

# psql reads the certificates from a file only.
if [ -n "${DATABASE_CA:-}" ]; then
  printf '%s\n' "$DATABASE_CA" > /tmp/database-ca.pem
  export PGSSLROOTCERT=/tmp/database-ca.pem
fi

login_role() { # NAME PASSWORD GROUP_ROLE...
  name=$1 password=$2
  shift 2
  [ -n "$password" ] || { echo "the password of $name is empty" >&2; exit 1; }
  psql -qX -v ON_ERROR_STOP=1 -v name="$name" <<'SQL'
select format('create role %I login', :'name') where not exists (select from pg_roles where rolname = :'name') \gexec
SQL
  for group in "$@"; do psql -qX -v ON_ERROR_STOP=1 -c "grant $group to $name"; done
  # \password sends a SCRAM verifier: the server never sees the password, and so cannot log it.
  printf '%s\n%s\n' "$password" "$password" | psql -qX -v ON_ERROR_STOP=1 -c "\\password $name" >/dev/null 2>&1 \
    || { echo "the password of $name could not be set" >&2; exit 1; }
  echo "$name may log in, as a member of $*"
}

login_role ph_gateway "$GATEWAY_PASSWORD" posthaste_gateway
login_role ph_dispatcher "$DISPATCHER_PASSWORD" posthaste_dispatcher
# `posthaste serve` is API, dispatcher and gateway in one.
login_role ph_api "$API_PASSWORD" posthaste_operator posthaste_dispatcher posthaste_gateway
