"""Stand-ins for the programs of single projects, and the small web server of our own tests.

The rule of this file: data only, in the words of `recipe.py`.
"""

from __future__ import annotations

from tests.images.recipe import FILES, MARIADB_TOOLS, PATH, PYTHON_DROP, Recipe, User

WORDPRESS = Recipe(
    names=("docker.io/library/wordpress:latest",),
    folder="wordpress",
    about="WordPress 6.1 on Apache with PHP 8.2 from Debian 12",
    packages=("wordpress", "wordpress-theme-twentytwentythree", "libapache2-mod-php", "php-mysql", "php-gd", "curl"),
    arrange=(
        # Debian spreads WordPress over several packages by links; the real image has it in one piece.
        'chroot "$1" cp -rL /usr/share/wordpress /usr/src/wordpress',
        'chroot "$1" cp -rL /var/lib/wordpress/wp-content/themes/. /usr/src/wordpress/wp-content/themes/',
        'rm -f "$1/usr/src/wordpress/.htaccess" "$1/usr/src/wordpress/wp-config.php"',
        'chroot "$1" a2enmod --quiet rewrite expires',
    ),
    drop=(
        "usr/share/wordpress/*",
        "usr/share/javascript/*",
        "usr/share/php/getid3/*",
        "var/lib/wordpress/*",
        "etc/wordpress/*",
        *MARIADB_TOOLS,
        "usr/bin/mariadb",
        "usr/bin/my_print_defaults",
        "usr/share/mysql/*",
        "usr/bin/php*",
        # WordPress serves the minified ones unless SCRIPT_DEBUG is set.
        "usr/src/wordpress/wp-includes/js/dist/*.js",
        "usr/share/fonts/*",
        "var/www/html/*",
    ),
    keep=("usr/src/wordpress/wp-includes/js/dist/*.min.js",),
    owned=(("var/www/html", "www-data", 0o755), ("var/log/apache2", "root", 0o755)),
    env=(PATH, "LANG=C.UTF-8"),
    entrypoint=("docker-entrypoint.sh",),
    command=("apache2-foreground",),
    volumes=("/var/www/html",),
    ports=("80/tcp",),
    working_dir="/var/www/html",
    stop_signal="SIGWINCH",
)

MEDIAWIKI = Recipe(
    names=("docker.io/library/nextcloud:apache",),
    folder="mediawiki",
    about="MediaWiki 1.39 on Apache with PHP 8.2 from Debian 12, which has no Nextcloud",
    packages=("mediawiki", "libapache2-mod-php", "php-cli", "php-mysql", "php-redis"),
    arrange=(
        # Debian spreads MediaWiki over two folders by links; it is to be in one piece, so that a volume can hold it.
        'chroot "$1" find /var/lib/mediawiki /usr/share/mediawiki -xtype l -delete',
        'chroot "$1" cp -rL /var/lib/mediawiki /usr/src/mediawiki',
        'rm -rf "$1/usr/src/mediawiki/debian-scripts"',
    ),
    drop=(
        "usr/share/mediawiki/*",
        "var/lib/mediawiki/*",
        "etc/mediawiki/*",
        "etc/apache2/conf-enabled/mediawiki.conf",
        "usr/src/mediawiki/*/i18n/*.json",
        "usr/src/mediawiki/languages/messages/*",
        "usr/src/mediawiki/languages/data/ZhConversion.php",
        "usr/src/mediawiki/languages/i18n/*",
        "usr/src/mediawiki/tests/*",
        "usr/src/mediawiki/docs/*",
        "usr/src/mediawiki/extensions/*",
        "usr/src/mediawiki/skins/MonoBook/*",
        "usr/src/mediawiki/skins/Timeless/*",
        "usr/share/fonts/*",
        "var/www/html/*",
    ),
    keep=(
        "usr/src/mediawiki/*/i18n/en.json",
        "usr/src/mediawiki/languages/i18n/en.json",
        "usr/src/mediawiki/*/i18n/*/en.json",
        "usr/src/mediawiki/languages/messages/MessagesEn.php",
    ),
    owned=(("var/www/html", "www-data", 0o755), ("var/log/apache2", "root", 0o755)),
    env=(PATH, "LANG=C.UTF-8"),
    entrypoint=("docker-entrypoint.sh",),
    command=("apache2-foreground",),
    volumes=("/var/www/html",),
    ports=("80/tcp",),
    working_dir="/var/www/html",
    stop_signal="SIGWINCH",
)

NODE_RED = Recipe(
    names=("docker.io/nodered/node-red:latest",),
    folder="node-red",
    about="Node-RED 4.1 from npm on Node.js 18 from Debian 12",
    packages=("nodejs", "ca-certificates", "curl"),
    users=(User("node-red", 1000, "/usr/src/node-red"),),
    npm="usr/src/node-red",
    drop=("usr/include/*", "usr/share/nodejs/@types/*"),
    owned=(("data", "node-red", 0o755),),
    env=(
        PATH,
        "NODE_RED_VERSION=v4.1.8",
        "NODE_PATH=/usr/src/node-red/node_modules:/data/node_modules",
        "FLOWS=flows.json",
    ),
    entrypoint=("./entrypoint.sh",),
    volumes=("/data",),
    ports=("1880/tcp",),
    working_dir="/usr/src/node-red",
    user="node-red",
)

_N8N_HOME = "home/node"

N8N = Recipe(
    names=("docker.io/n8nio/n8n:latest",),
    folder="n8n",
    about="Node-RED 4.1 from npm on Node.js 18, its flows imported into PostgreSQL: n8n from npm takes 560 MB",
    packages=("nodejs", "ca-certificates", "curl", "postgresql-client-15"),
    users=(User("node", 1000, f"/{_N8N_HOME}"),),
    npm="usr/src/node-red",
    drop=("usr/include/*", "usr/share/nodejs/@types/*", "usr/share/postgresql-common/*", "etc/postgresql-common/*"),
    owned=((_N8N_HOME, "node", 0o755), (f"{_N8N_HOME}/.n8n", "node", 0o755)),
    env=(PATH + ":/usr/lib/postgresql/15/bin", f"HOME=/{_N8N_HOME}"),
    entrypoint=("/docker-entrypoint.sh",),
    volumes=(f"/{_N8N_HOME}/.n8n",),
    ports=("5678/tcp",),
    working_dir=f"/{_N8N_HOME}",
    user="node",
)

_GO_SOURCE = (FILES / "golang-backend" / "code" / "main.go").read_text()

GOLANG_BACKEND = Recipe(
    names=("skerry-test/golang-backend:1",),
    folder="golang-backend",
    about="a list of posts in a database, written for these tests in Go and compiled with Debian 12's Go 1.19",
    packages=("golang-go", "golang-github-go-sql-driver-mysql-dev", "ca-certificates"),
    arrange=(
        f"cat > \"$1/tmp/main.go\" <<'END'\n{_GO_SOURCE}END",
        'chroot "$1" env GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=/tmp/go CGO_ENABLED=0 HOME=/tmp'
        " go build -p 2 -trimpath -ldflags '-s -w -buildid=' -o /usr/local/bin/backend /tmp/main.go",
    ),
    drop=("usr/lib/go-*", "usr/lib/go/*", "usr/share/go-*", "usr/share/gocode/*", "usr/bin/go", "usr/bin/gofmt"),
    env=(PATH,),
    command=("/usr/local/bin/backend",),
    ports=("8000/tcp",),
)

VOTE = Recipe(
    names=("docker.io/dockersamples/examplevotingapp_vote:latest",),
    folder="vote",
    about="a page to vote on, written for these tests on Flask and gunicorn from Debian 12",
    packages=("gunicorn", "python3-flask", "python3-redis"),
    drop=PYTHON_DROP,
    env=(PATH,),
    command=("gunicorn", "--bind", "0.0.0.0:80", "--workers", "2", "--access-logfile", "-", "app:app"),
    ports=("80/tcp",),
    working_dir="/usr/local/app",
)

RESULT = Recipe(
    names=("docker.io/dockersamples/examplevotingapp_result:latest",),
    folder="result",
    about="a page of results, written for these tests with express, pg and socket.io from npm on Debian 12's Node.js",
    packages=("nodejs", "ca-certificates", "curl"),
    npm="usr/local/app",
    drop=("usr/include/*", "usr/share/nodejs/@types/*"),
    env=(PATH, "PORT=80"),
    command=("node", "server.js"),
    ports=("80/tcp",),
    working_dir="/usr/local/app",
)

WORKER = Recipe(
    names=("docker.io/dockersamples/examplevotingapp_worker:latest",),
    folder="worker",
    about="takes votes from Redis to PostgreSQL, written for these tests in Python in place of .NET",
    packages=("python3-minimal", "python3-redis", "python3-psycopg2"),
    drop=PYTHON_DROP,
    env=(PATH, "PYTHONUNBUFFERED=1"),
    command=("python3", "/usr/local/app/worker.py"),
)

_APPLETS = (
    "sh",
    "httpd",
    "wget",
    "cat",
    "ls",
    "sleep",
    "env",
    "kill",
    "ps",
    "echo",
    "test",
    "rm",
    "touch",
    "id",
    "grep",
)


def _web(version: str) -> Recipe:
    return Recipe(
        names=(f"skerry-test/web:{version}",),
        folder="web",
        busybox=_APPLETS,
        about="a few lines of shell on busybox, for tests and benchmarks",
        env=("PATH=/bin", f"WEB_VERSION={version}"),
        entrypoint=("/bin/serve",),
        volumes=("/data",),
        ports=("8080/tcp",),
        owned=(("tmp", "root", 0o1777), ("data", "root", 0o755), ("etc", "root", 0o755), ("run", "root", 0o755)),
    )


WEB_1, WEB_2 = _web("1"), _web("2")
