# syntax=docker/dockerfile:1
# The agent as a sidecar image: built in one stage, run in another, without root and without a shell's help.
#
#   docker build -t sealtrail .
#   docker run --read-only --tmpfs /tmp --user 10001 -v audit:/var/lib/sealtrail sealtrail
#
# /var/lib/sealtrail is all that is written to: mount a volume there, and share it (or the socket's
# folder alone) with the application's container.

FROM node:20-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
COPY sdk/package.json sdk/
# The embedded PostgreSQL unpacks in its install script (allowScripts in package.json).
RUN npm ci --no-audit --no-fund
COPY . .
RUN node scripts/build.mjs && npm prune --omit=dev --no-audit --no-fund

FROM node:20-bookworm-slim
LABEL org.opencontainers.image.title="sealtrail" \
      org.opencontainers.image.description="Audit-log sidecar: acked means redacted, hash-chained and on disk" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production \
    SEALTRAIL_DATA_DIR=/var/lib/sealtrail
RUN groupadd --gid 10001 sealtrail \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sealtrail \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/sealtrail
WORKDIR /opt/sealtrail
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules ./node_modules
COPY --from=build /src/dist ./dist
COPY --from=build /src/config ./config
COPY --from=build /src/schemas ./schemas
RUN ln -s /opt/sealtrail/dist/cli/main.js /usr/local/bin/sealtrail && chmod 0755 dist/cli/main.js
USER 10001:10001
VOLUME /var/lib/sealtrail
STOPSIGNAL SIGTERM
# Live, not ready: a sink that is down is no reason to restart the agent.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.SEALTRAIL_ADMIN_PORT || 9464) + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/opt/sealtrail/dist/cli/main.js"]
CMD ["agent", "--config", "/opt/sealtrail/config/sealtrail.yaml"]
