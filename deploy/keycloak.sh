#!/usr/bin/env bash
# Sets up a Keycloak realm for TrialCards: the login to the worklist, the tokens of a hook client, the SMART app.
#
#   kcadm.sh config credentials --server https://login.example --realm master --user ADMIN
#   REALM=hospital PUBLIC_URL=https://trialcards.example deploy/keycloak.sh
#
# KCADM names kcadm.sh where it is not on the PATH. Everything is created; what is there already ends the script.
# Secrets of the clients: Clients, trialcards (or ehr), Credentials.
set -euo pipefail
: "${REALM:?the realm}" "${PUBLIC_URL:?TRIALCARDS_PUBLIC_URL}"
kcadm=${KCADM:-kcadm.sh}

create() { "$kcadm" create "$1" -r "$REALM" -f - >/dev/null; }

# Who may work on the worklist: TRIALCARDS_OIDC_GROUPS=trial-coordinators
create roles <<<'{"name": "trial-coordinators"}'

# The login. Keycloak puts realm roles into the access token only; the mapper puts them into the ID token, where
# TRIALCARDS_OIDC_GROUPS_CLAIM=realm_access.roles finds them.
create clients <<JSON
{"clientId": "trialcards", "protocol": "openid-connect", "publicClient": false, "standardFlowEnabled": true,
 "directAccessGrantsEnabled": false, "redirectUris": ["$PUBLIC_URL/login/callback"],
 "attributes": {
   "pkce.code.challenge.method": "S256",
   "post.logout.redirect.uris": "$PUBLIC_URL/logout",
   "backchannel.logout.url": "$PUBLIC_URL/logout/backchannel",
   "backchannel.logout.session.required": "true"},
 "protocolMappers": [
   {"name": "realm roles in the ID token", "protocol": "openid-connect", "protocolMapper": "oidc-usermodel-realm-role-mapper",
    "config": {"claim.name": "realm_access.roles", "jsonType.label": "String", "multivalued": "true",
               "id.token.claim": "true", "access.token.claim": "true"}}]}
JSON

# The client that signs hook calls (client credentials). Keycloak puts no address of ours into aud by itself: the
# mapper puts in one word, which the entry lists as audiences = ["trialcards-hooks"]; algorithms = ["RS256"].
create clients <<JSON
{"clientId": "ehr", "protocol": "openid-connect", "publicClient": false, "serviceAccountsEnabled": true,
 "standardFlowEnabled": false, "directAccessGrantsEnabled": false,
 "attributes": {"access.token.lifespan": "300"},
 "protocolMappers": [
   {"name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
    "config": {"included.custom.audience": "trialcards-hooks", "access.token.claim": "true", "id.token.claim": "false"}}]}
JSON

# The SMART app. A server that does not define a scope refuses the whole launch (invalid_scope). "openid" is built in.
scopes=(launch fhirUser)
for type in ${TYPES:-Patient Condition Observation MedicationRequest MedicationStatement MedicationAdministration \
    MedicationDispense Procedure Immunization ResearchSubject Consent Flag Medication}; do
    scopes+=("patient/$type.rs")
done
optional=
for scope in "${scopes[@]}"; do
    create client-scopes <<<"{\"name\": \"$scope\", \"protocol\": \"openid-connect\",
        \"attributes\": {\"include.in.token.scope\": \"true\", \"display.on.consent.screen\": \"true\"}}"
    optional+="${optional:+, }\"$scope\""
done
create clients <<JSON
{"clientId": "trialcards-smart", "protocol": "openid-connect", "publicClient": true, "standardFlowEnabled": true,
 "directAccessGrantsEnabled": false, "redirectUris": ["$PUBLIC_URL/launch/callback"],
 "attributes": {"pkce.code.challenge.method": "S256"}, "optionalClientScopes": [$optional]}
JSON
echo "Realm $REALM: clients trialcards, ehr and trialcards-smart, role trial-coordinators."
