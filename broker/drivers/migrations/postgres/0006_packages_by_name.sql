-- Whoever follows what others change looks for the repositories that have a package.
CREATE INDEX packages_by_name ON packages (package);
