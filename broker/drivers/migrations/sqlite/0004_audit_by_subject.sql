-- Every access of another package went to another page of this index: under load most of what was written was its pages.
-- Who asks for one package reads the log in the order of time.
DROP INDEX audit_by_subject;
