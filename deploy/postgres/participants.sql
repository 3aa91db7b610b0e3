-- PostgreSQL runs this once, on a new volume. Each participant gets a database of its own, and no access to the
-- orchestrator's database.
\getenv password PARTICIPANTS_PASSWORD
CREATE ROLE participants LOGIN PASSWORD :'password';
REVOKE CONNECT ON DATABASE saga_db FROM PUBLIC;
CREATE DATABASE "panier" OWNER participants;
CREATE DATABASE "stock" OWNER participants;
CREATE DATABASE "client" OWNER participants;
CREATE DATABASE "ventes" OWNER participants;
CREATE DATABASE "catalogue" OWNER participants;
CREATE DATABASE "commandes" OWNER participants;
CREATE DATABASE "recus" OWNER participants;
CREATE DATABASE "supply-chain" OWNER participants;
CREATE DATABASE "ecommerce" OWNER participants;
