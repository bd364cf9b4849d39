#!/bin/bash
# Put MediaWiki into /var/www/html and its tables into the database if they are not there yet, then start what was asked
# for. Environment: MYSQL_HOST, MYSQL_DATABASE, MYSQL_USER, MYSQL_PASSWORD, REDIS_HOST.
set -eu

site=/var/www/html
settings=$site/LocalSettings.php

as_user() { setpriv --reuid=www-data --regid=www-data --init-groups "$@"; }

install_wiki() {
	if [ ! -e $site/.complete ]; then
		echo "[entrypoint] copying MediaWiki to $site"
		cp -r /usr/src/mediawiki/. $site/
		chown -R www-data:www-data $site
		touch $site/.complete
	fi
	echo "[entrypoint] waiting for the database at $MYSQL_HOST"
	for _ in $(seq 300); do
		as_user php -r 'mysqli_report(MYSQLI_REPORT_OFF); exit((int) !@mysqli_connect(getenv("MYSQL_HOST"),
			getenv("MYSQL_USER"), getenv("MYSQL_PASSWORD"), getenv("MYSQL_DATABASE")));' && break
		sleep 0.5
	done
	# The installer refuses to run where settings are, and tables that an interrupted start left are taken as they are.
	local draft=/tmp/draft
	rm -rf $draft
	as_user mkdir $draft
	as_user php $site/maintenance/install.php --confpath $draft --scriptpath "" --server http://localhost \
		--dbtype mysql --dbserver "$MYSQL_HOST" --dbname "$MYSQL_DATABASE" --dbuser "$MYSQL_USER" \
		--dbpass "$MYSQL_PASSWORD" --pass "${ADMIN_PASSWORD:-$(head -c 18 /dev/urandom | base64)}" \
		"${SITE_NAME:-Harbour}" keeper
	cat >>$draft/LocalSettings.php <<'END'
// Sessions and cached objects are in Redis where the environment names one.
if (getenv('REDIS_HOST')) {
	$wgObjectCaches['redis'] = ['class' => 'RedisBagOStuff', 'servers' => [getenv('REDIS_HOST') . ':6379']];
	$wgMainCacheType = $wgSessionCacheType = $wgParserCacheType = 'redis';
}
// Whoever asks decides under which name this site is known, so it works behind any port.
$wgServer = WebRequest::detectServer();
$wgJobRunRate = 0;
END
	mv $draft/LocalSettings.php $settings
	sync -f $site
	echo "[entrypoint] MediaWiki is set up"
}

if [ "${1:-}" = apache2-foreground ]; then
	install -d -o www-data -g www-data /var/cache/mediawiki
	if [ ! -s $settings ]; then install_wiki; fi
fi
exec "$@"
